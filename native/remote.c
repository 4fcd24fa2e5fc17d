/*
 * Remote calls: a batch of system calls run by the tracee itself, at a `syscall; ret` that its code has.
 *
 * Guarded (a target): should we die at any instant, the kernel lets the tracee go with whatever registers it
 * has then. So before its registers change, a signal frame with its true registers, vector state and mask is
 * laid into borrowed memory, and every remote call returns (`ret`) through a chain into rt_sigreturn on that
 * frame: the orphan puts itself back. On the normal path the frame is not used: the true registers are set
 * again in a stop inside get_signal(), so that the kernel still restarts an interrupted call by its own rules.
 *
 *   place: [scratch ... | old bytes kept here by us | frame | xsave area ... ]   rsp -> chain -> frame
 *
 * Unguarded (a process of our own that dies with us): just the calls.
 */
#include "cr.h"

#include <errno.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "x86_64.h"

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif
#define XSTATE_ALIGN 64
#define CR_GET_SYSCALL_DISPATCH 0x4211 /* PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, Linux 6.4 */

struct guard {
  struct cr_thread *thread; /* true registers, vector state, mask */
  uint8_t *saved;           /* bytes of the place as they were */
  uint8_t *image;           /* bytes of the place with frame */
  uint64_t rsp;
};

/* Bytes of the XSAVE area that a signal frame of this thread may have: dynamic components only if in use. */
static uint32_t frame_xstate_bytes(const struct cr_thread *t, uint64_t *features) {
  uint64_t xcr0 = (uint64_t)cr_xcr0(), in_use;
  memcpy(&in_use, t->xstate + CR_XSTATE_BV_AT, 8);
  const uint64_t dynamic = 1ull << 18;
  *features = in_use & dynamic ? xcr0 : xcr0 & ~dynamic;
  uint32_t end = 576;
  for (int i = 2; i < 63; i++) {
    uint32_t size, offset, c, d;
    if (!(*features >> i & 1)) continue;
    __asm__("cpuid" : "=a"(size), "=b"(offset), "=c"(c), "=d"(d) : "a"(0xd), "c"(i));
    if (offset + size > end) end = offset + size;
  }
  return end;
}

/* Lays the frame at the end of the image; the place must hold it and the scratch bytes. */
static int64_t lay_frame(struct cr_site *site, struct guard *g, int32_t scratch_len) {
  uint64_t features;
  uint32_t xbytes = frame_xstate_bytes(g->thread, &features);
  uint64_t end = site->place + site->place_len;
  uint64_t fpstate = (end - xbytes - 4) & ~(uint64_t)(XSTATE_ALIGN - 1);
  uint64_t frame_at = (fpstate - sizeof(struct cr_sigframe)) & ~15ull;
  uint64_t chain_at = frame_at - 8 * (site->chain_len - 1);
  if (xbytes > g->thread->xstate_len || chain_at < site->place + (uint64_t)scratch_len) return -ENOSPC;

  uint8_t *x = g->image + (fpstate - site->place);
  struct cr_fpx_sw sw = {CR_FP_MAGIC1, xbytes + 4, features, xbytes, {0}};
  const uint32_t magic2 = CR_FP_MAGIC2;
  memcpy(x, g->thread->xstate, xbytes);
  memcpy(x + CR_FPX_SW_AT, &sw, sizeof sw);
  memcpy(x + xbytes, &magic2, 4);

  struct cr_sigframe frame = {.pretcode = site->chain[site->chain_len - 1],
                              .uc_flags = CR_UC_FLAGS,
                              .stack_flags = CR_STACK_FLAGS_REFUSED,
                              .sigmask = g->thread->sigmask};
  struct user_regs_struct regs;
  memcpy(&regs, site->orphan, sizeof regs);
  cr_fill_context(&frame.context, &regs);
  frame.context.fpstate = fpstate;
  memcpy(g->image + (frame_at - site->place), &frame, sizeof frame);
  memcpy(g->image + (chain_at - site->place), site->chain, 8 * (site->chain_len - 1));
  g->rsp = chain_at;
  return 0;
}

/* Resumes to the next system-call stop. 0, or -ESRCH when the tracee is gone, or -EINTR with the signal. */
static int64_t step(int32_t tid, struct cr_site *site) {
  for (;;) {
    int status = 0;
    if (ptrace(PTRACE_SYSCALL, tid, NULL, NULL) < 0) return -errno;
    int64_t err = cr_wait_stop(tid, &status);
    if (err < 0) return err;
    if (!WIFSTOPPED(status)) return -ESRCH;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) return 0;
    if (status >> 16) continue; /* a group-stop or its end told to the tracer; a thread made by a newborn */
    site->stop_signal = (uint32_t)WSTOPSIG(status);
    return -EINTR;
  }
}

static int64_t one_call(int32_t tid, struct cr_site *site, struct cr_call *call, struct user_regs_struct *regs) {
  size_t len = sizeof *regs;
  struct user_regs_struct after;
  cr_set_call(regs, call->nr, call->args);
  int64_t err = cr_regset(tid, PTRACE_SETREGSET, NT_PRSTATUS, regs, &len);
  if (err == 0) err = step(tid, site);
  if (err == 0) err = step(tid, site);
  if (err == 0) err = cr_regset(tid, PTRACE_GETREGSET, NT_PRSTATUS, &after, &len);
  if (err == 0) call->result = (int64_t)after.rax;
  return err;
}

/* From whatever stop into one inside get_signal(), where the kernel decides about restarts. */
static int64_t into_event_stop(int32_t tid, struct cr_site *site) {
  int status = 0;
  if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0) return -errno;
  if (ptrace(PTRACE_CONT, tid, NULL, NULL) < 0) return -errno;
  int64_t err = cr_wait_stop(tid, &status);
  if (err < 0) return err;
  if (!WIFSTOPPED(status)) return -ESRCH;
  if (status >> 16 != PTRACE_EVENT_STOP) site->stop_signal = (uint32_t)WSTOPSIG(status);
  return 0;
}

static int64_t run_guarded(int32_t tid, struct cr_site *site, struct guard *g, struct cr_call *calls,
                           int32_t count) {
  uint64_t all = ~0ull;
  struct user_regs_struct regs;
  int64_t err = cr_mem_write(tid, (int64_t)site->place, g->image, (int64_t)site->place_len);
  if (err < 0) return err;
  memcpy(&regs, g->thread->regs, sizeof regs);
  regs.rip = site->syscall_at;
  regs.rsp = g->rsp;
  regs.eflags = CR_USER_EFLAGS;
  /* The first call's registers before the mask: an orphan with the mask alone would keep it for ever. */
  size_t len = sizeof regs;
  cr_set_call(&regs, calls[0].nr, calls[0].args);
  err = cr_regset(tid, PTRACE_SETREGSET, NT_PRSTATUS, &regs, &len);
  if (err == 0 && ptrace(PTRACE_SETSIGMASK, tid, (void *)8, &all) < 0) err = -errno;
  for (int32_t i = 0; i < count && err == 0; i++) err = one_call(tid, site, &calls[i], &regs);
  if (err == -ESRCH) return err;
  if (site->stop_signal == 0) {
    int64_t stopped = into_event_stop(tid, site);
    if (stopped < 0) return stopped;
  }
  if (site->stop_signal && err == 0) err = -EINTR;
  if (ptrace(PTRACE_SETSIGMASK, tid, (void *)8, &g->thread->sigmask) < 0) return -errno;
  int64_t put = cr_set_registers(tid, g->thread->regs, CR_REGS_BYTES);
  return put < 0 ? put : err;
}

/* Syscall user dispatch (prctl(2)) would answer our calls with SIGSYS and take the target's handler for it away. */
static int dispatches_calls(int32_t tid) {
  struct {
    uint64_t mode, selector, offset, len;
  } dispatch = {0};
  long err = ptrace(CR_GET_SYSCALL_DISPATCH, tid, (void *)sizeof dispatch, &dispatch);
  return err == 0 && dispatch.mode != 0;
}

static int64_t guarded(int32_t tid, struct cr_site *site, struct cr_call *calls, int32_t count,
                       uint8_t *scratch, int32_t scratch_len) {
  if (dispatches_calls(tid)) return -EOPNOTSUPP;
  cr_set_options(tid, site->options);
  struct guard g = {malloc(sizeof(struct cr_thread)), malloc(site->place_len), malloc(site->place_len), 0};
  int64_t err = -ENOMEM;
  if (g.thread && g.saved && g.image) {
    err = cr_get_thread(tid, (uint8_t *)g.thread, sizeof *g.thread);
    if (err == 0) err = cr_mem_read(tid, (int64_t)site->place, g.saved, (int64_t)site->place_len);
    if (err >= 0) {
      memcpy(g.image, g.saved, site->place_len);
      memcpy(g.image, scratch, (size_t)scratch_len);
      err = lay_frame(site, &g, scratch_len);
    }
    if (err == 0) {
      err = run_guarded(tid, site, &g, calls, count);
      if (err != -ESRCH) {
        int64_t got = cr_mem_read(tid, (int64_t)site->place, scratch, scratch_len);
        int64_t put = cr_mem_write(tid, (int64_t)site->place, g.saved, (int64_t)site->place_len);
        if (err == 0) err = got < 0 ? got : put < 0 ? put : 0;
      }
    }
  }
  if (site->options) cr_set_options(tid, 0);
  free(g.thread);
  free(g.saved);
  free(g.image);
  return err;
}

CR_API int64_t cr_remote(int32_t tid, uint8_t *site_bytes, uint8_t *call_bytes, int32_t count, uint8_t *scratch,
                         int32_t scratch_len) {
  struct cr_site *site = (struct cr_site *)site_bytes;
  struct cr_call *calls = (struct cr_call *)call_bytes;
  if (count < 1 || count > CR_CALLS_MAX || scratch_len < 0 || site->chain_len > 3) return -EINVAL;
  site->stop_signal = 0;
  if (site->chain_len > 0) {
    if (site->place_len > 1 << 20 || (uint64_t)scratch_len > site->place_len) return -EINVAL;
    return guarded(tid, site, calls, count, scratch, scratch_len);
  }
  struct user_regs_struct regs;
  size_t len = sizeof regs;
  int64_t err = cr_regset(tid, PTRACE_GETREGSET, NT_PRSTATUS, &regs, &len);
  regs.rip = site->syscall_at;
  regs.eflags = CR_USER_EFLAGS;
  for (int32_t i = 0; i < count && err == 0; i++) err = one_call(tid, site, &calls[i], &regs);
  return err;
}
