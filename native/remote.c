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
 *
 * Batches of several tracees run side by side, each in a place of its own: while one gets to its next stop, so do all.
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
#define CR_GET_SYSCALL_DISPATCH 0x4211 /* PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, Linux 6.4 */

/* A batch while it runs. */
struct run {
  struct cr_batch *batch;
  struct cr_call *calls;
  uint8_t *scratch;
  struct cr_thread *thread; /* true registers, vector state, mask; none when unguarded */
  uint8_t *saved;           /* bytes of the place as they were */
  uint8_t *image;           /* bytes of the place with frame */
  struct user_regs_struct regs;
  uint64_t rsp;
  int64_t err;
  int is_lent; /* its place and registers are ours */
};

/* Whether it has yet to make this call. */
static int has_call(const struct run *r, int32_t call) {
  return r->err == 0 && call < r->batch->call_count;
}

/* Waits for a system-call stop. 0, or -ESRCH when the tracee is gone, or -EINTR with the signal. */
static int64_t call_stop(struct cr_batch *batch) {
  for (;;) {
    int status = 0;
    int64_t err = cr_wait_stop(batch->tid, &status);
    if (err < 0) return err;
    if (!WIFSTOPPED(status)) return -ESRCH;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) return 0;
    if (!(status >> 16)) {
      batch->site.stop_signal = (uint32_t)WSTOPSIG(status);
      return -EINTR;
    }
    /* A group-stop or its end told to the tracer; a thread made by a newborn. */
    if (ptrace(PTRACE_SYSCALL, batch->tid, NULL, NULL) < 0) return -errno;
  }
}

static void step_all(struct run *runs, int32_t count, int32_t call) {
  for (struct run *r = runs; r < runs + count; r++) {
    if (has_call(r, call) && ptrace(PTRACE_SYSCALL, r->batch->tid, NULL, NULL) < 0) r->err = -errno;
  }
  for (struct run *r = runs; r < runs + count; r++) {
    if (has_call(r, call)) r->err = call_stop(r->batch);
  }
}

static int64_t set_call(struct run *r, const struct cr_call *call) {
  size_t len = sizeof r->regs;
  cr_set_call(&r->regs, call->nr, call->args);
  return cr_regset(r->batch->tid, PTRACE_SETREGSET, NT_PRSTATUS, &r->regs, &len);
}

static void run_calls(struct run *runs, int32_t count) {
  int32_t longest = 0;
  for (struct run *r = runs; r < runs + count; r++) {
    if (r->batch->call_count > longest) longest = r->batch->call_count;
  }
  for (int32_t call = 0; call < longest; call++) {
    for (struct run *r = runs; r < runs + count; r++) {
      if (has_call(r, call)) r->err = set_call(r, &r->calls[call]);
    }
    step_all(runs, count, call);
    step_all(runs, count, call);
    for (struct run *r = runs; r < runs + count; r++) {
      struct user_regs_struct after;
      size_t len = sizeof after;
      if (!has_call(r, call)) continue;
      r->err = cr_regset(r->batch->tid, PTRACE_GETREGSET, NT_PRSTATUS, &after, &len);
      r->calls[call].result = (int64_t)after.rax;
    }
  }
}

/* Syscall user dispatch (prctl(2)) would answer our calls with SIGSYS and take the target's handler for it away. */
static int dispatches_calls(int32_t tid) {
  struct {
    uint64_t mode, selector, offset, len;
  } dispatch = {0};
  long err = ptrace(CR_GET_SYSCALL_DISPATCH, tid, (void *)sizeof dispatch, &dispatch);
  return err == 0 && dispatch.mode != 0;
}

/* Lays the frame and makes the registers ours. */
static int64_t lend(struct run *r) {
  const struct cr_site *site = &r->batch->site;
  int32_t tid = r->batch->tid;
  if (dispatches_calls(tid)) return -EOPNOTSUPP;
  r->thread = malloc(sizeof *r->thread + 2 * site->place_len);
  if (r->thread == NULL) return -ENOMEM;
  r->saved = (uint8_t *)(r->thread + 1);
  r->image = r->saved + site->place_len;
  int64_t err = cr_get_thread(tid, (uint8_t *)r->thread, sizeof *r->thread);
  if (err == 0) err = cr_mem_read(tid, (int64_t)site->place, r->saved, (int64_t)site->place_len);
  if (err < 0) return err;
  memcpy(r->image, r->saved, site->place_len);
  memcpy(r->image, r->scratch, (size_t)r->batch->scratch_len);
  err = cr_lay_frame(r->batch, r->thread, r->image, &r->rsp);
  if (err < 0) return err;
  cr_set_options(tid, site->options);
  err = cr_mem_write(tid, (int64_t)site->place, r->image, (int64_t)site->place_len);
  if (err < 0) {
    cr_mem_write(tid, (int64_t)site->place, r->saved, (int64_t)site->place_len);
    return err;
  }
  r->is_lent = 1;
  memcpy(&r->regs, r->thread->regs, sizeof r->regs);
  r->regs.rip = site->syscall_at;
  r->regs.rsp = r->rsp;
  r->regs.eflags = CR_USER_EFLAGS;
  /* The first call's registers before the mask: an orphan with the mask alone would keep it for ever. */
  uint64_t all = ~0ull;
  err = set_call(r, &r->calls[0]);
  return err == 0 && ptrace(PTRACE_SETSIGMASK, tid, (void *)8, &all) < 0 ? -errno : err;
}

/* Of a process of our own, which may be lost. */
static int64_t own_registers(struct run *r) {
  size_t len = sizeof r->regs;
  int64_t err = cr_regset(r->batch->tid, PTRACE_GETREGSET, NT_PRSTATUS, &r->regs, &len);
  r->regs.rip = r->batch->site.syscall_at;
  r->regs.eflags = CR_USER_EFLAGS;
  return err;
}

/* From whatever stop into one inside get_signal(), where the kernel decides about restarts. */
static int64_t into_event_stop(struct cr_batch *batch) {
  int status = 0;
  int64_t err = cr_wait_stop(batch->tid, &status);
  if (err < 0) return err;
  if (!WIFSTOPPED(status)) return -ESRCH;
  if (status >> 16 != PTRACE_EVENT_STOP) batch->site.stop_signal = (uint32_t)WSTOPSIG(status);
  return 0;
}

/* Gives mask, registers and memory back. */
static int64_t give_back(struct run *r) {
  const struct cr_site *site = &r->batch->site;
  int32_t tid = r->batch->tid;
  int64_t err = ptrace(PTRACE_SETSIGMASK, tid, (void *)8, &r->thread->sigmask) < 0 ? -errno : 0;
  if (err == 0) err = cr_set_registers(tid, r->thread->regs, CR_REGS_BYTES);
  int64_t got = cr_mem_read(tid, (int64_t)site->place, r->scratch, r->batch->scratch_len);
  int64_t put = cr_mem_write(tid, (int64_t)site->place, r->saved, (int64_t)site->place_len);
  return err < 0 ? err : got < 0 ? got : put < 0 ? put : 0;
}

static int is_held(const struct run *r) {
  return r->is_lent && r->err != -ESRCH;
}

/* Where a signal stopped it, it stands inside get_signal() as it is. Who is kept stands there with registers of ours. */
static void give_all_back(struct run *runs, int32_t count) {
  for (struct run *r = runs; r < runs + count; r++) {
    if (!is_held(r) || r->batch->site.stop_signal) continue;
    if (ptrace(PTRACE_INTERRUPT, r->batch->tid, NULL, NULL) < 0) r->err = -errno;
    if (is_held(r) && ptrace(PTRACE_CONT, r->batch->tid, NULL, NULL) < 0) r->err = -errno;
  }
  for (struct run *r = runs; r < runs + count; r++) {
    if (!is_held(r)) continue;
    int64_t err = r->batch->site.stop_signal ? 0 : into_event_stop(r->batch);
    if (r->err == 0) r->err = err < 0 ? err : r->batch->site.stop_signal ? -EINTR : 0;
    if (err == -ESRCH || r->batch->site.keeps) continue;
    err = give_back(r);
    if (r->err == 0) r->err = err;
  }
}

static int is_valid(const struct cr_batch *batch) {
  const struct cr_site *site = &batch->site;
  if (batch->call_count < 1 || batch->call_count > CR_CALLS_MAX || batch->scratch_len < 0) return 0;
  if (site->chain_len == 0) return 1;
  return site->chain_len <= 3 && site->place_len <= 1 << 20 && (uint64_t)batch->scratch_len <= site->place_len;
}

/* Takes calls and scratch bytes apart by batch. */
static int64_t begin(struct run *runs, struct cr_batch *batches, int32_t count, struct cr_call *calls,
                     int32_t call_count, uint8_t *scratch, int32_t scratch_len) {
  int64_t calls_at = 0, scratch_at = 0;
  for (int32_t i = 0; i < count; i++) {
    struct cr_batch *batch = &batches[i];
    if (!is_valid(batch)) return -EINVAL;
    runs[i].batch = batch;
    runs[i].calls = calls + calls_at;
    runs[i].scratch = scratch + scratch_at;
    calls_at += batch->call_count;
    scratch_at += batch->scratch_len;
    batch->site.stop_signal = 0;
    if (calls_at > call_count || scratch_at > scratch_len) return -EINVAL;
  }
  return 0;
}

CR_API int64_t cr_remote(uint8_t *batch_bytes, int32_t count, uint8_t *call_bytes, int32_t call_count,
                         uint8_t *scratch, int32_t scratch_len) {
  struct cr_batch *batches = (struct cr_batch *)batch_bytes;
  if (count < 1 || count > CR_BATCHES_MAX) return -EINVAL;
  struct run *runs = calloc((size_t)count, sizeof *runs);
  if (runs == NULL) return -ENOMEM;
  int64_t err = begin(runs, batches, count, (struct cr_call *)call_bytes, call_count, scratch, scratch_len);
  if (err == 0) {
    for (struct run *r = runs; r < runs + count; r++) {
      r->err = r->batch->site.chain_len > 0 ? lend(r) : own_registers(r);
    }
    run_calls(runs, count);
    give_all_back(runs, count);
  }
  for (int32_t i = 0; i < count && err == 0; i++) {
    if (batches[i].site.chain_len > 0 && batches[i].site.options) cr_set_options(batches[i].tid, 0);
    batches[i].result = (int32_t)runs[i].err;
    free(runs[i].thread);
  }
  free(runs);
  return err;
}
