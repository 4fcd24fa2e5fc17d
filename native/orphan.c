/* The signal frame through which a tracee left alone in a remote call (remote.c) gets back to what it was doing. */
#include "cr.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

#include "x86_64.h"

#define XSTATE_ALIGN 64
#define CR_WAIT_BYTES 512 /* of a frame without vector state, its words and what aligns it */

/* Ends of the components of an XSAVE area. Asked once: CPUID takes long where a hypervisor answers. */
static struct {
  uint64_t xcr0;
  uint32_t end[63];
} layout;

static void read_layout(void) {
  if (layout.xcr0 != 0) return;
  uint64_t xcr0 = (uint64_t)cr_xcr0();
  for (uint32_t i = 2; i < 63; i++) {
    uint32_t size, offset, c, d;
    if (!(xcr0 >> i & 1)) continue;
    __asm__("cpuid" : "=a"(size), "=b"(offset), "=c"(c), "=d"(d) : "a"(0xd), "c"(i));
    layout.end[i] = offset + size;
  }
  layout.xcr0 = xcr0;
}

/* Bytes of the XSAVE area that a signal frame of this thread may have: dynamic components only if in use. */
static uint32_t frame_xstate_bytes(const struct cr_thread *t, uint64_t *features) {
  read_layout();
  uint64_t in_use;
  memcpy(&in_use, t->xstate + CR_XSTATE_BV_AT, 8);
  const uint64_t dynamic = 1ull << 18;
  *features = in_use & dynamic ? layout.xcr0 : layout.xcr0 & ~dynamic;
  uint32_t end = 576;
  for (int i = 2; i < 63; i++) {
    if ((*features >> i & 1) && layout.end[i] > end) end = layout.end[i];
  }
  return end;
}

/* What all frames have in common, with the words that lead to it in front of it, at `chain_at`. */
static void lay_at(const struct cr_site *site, struct cr_sigframe *frame, uint8_t *image, uint64_t chain_at) {
  const size_t words = 8 * (site->chain_len - 1);
  frame->pretcode = site->chain[site->chain_len - 1];
  frame->stack_flags = CR_STACK_FLAGS_REFUSED;
  memcpy(image + (chain_at - site->place), site->chain, words);
  memcpy(image + (chain_at - site->place) + words, frame, sizeof *frame);
}

/* The frame of an orphan that waits before it goes on to `next`; the stack pointer that finds it. Signals stay blocked. */
static uint64_t lay_wait(const struct cr_site *site, const struct user_regs_struct *regs, uint8_t *image, uint64_t next) {
  struct user_regs_struct waiting = *regs;
  const uint64_t args[6] = {site->wait_at, FUTEX_WAIT, 1, site->wait_at + 8, 0, 0};
  struct cr_sigframe frame = {.uc_flags = CR_UC_FLAGS, .sigmask = ~0ull};
  cr_set_call(&waiting, SYS_futex, args);
  waiting.rip = site->syscall_at;
  waiting.rsp = next;
  waiting.eflags = CR_USER_EFLAGS;
  cr_fill_context(&frame.context, &waiting);
  const uint64_t chain_at = ((next - sizeof frame) & ~15ull) - 8 * (site->chain_len - 1);
  lay_at(site, &frame, image, chain_at);
  return chain_at;
}

/* At the end of the image of a place, which must hold it behind the scratch bytes; the stack pointer that finds it. */
int64_t cr_lay_frame(const struct cr_batch *batch, const struct cr_thread *thread, uint8_t *image, uint64_t *rsp) {
  const struct cr_site *site = &batch->site;
  uint64_t features;
  uint32_t xbytes = frame_xstate_bytes(thread, &features);
  uint64_t end = site->place + site->place_len;
  uint64_t fpstate = (end - xbytes - 4) & ~(uint64_t)(XSTATE_ALIGN - 1);
  uint64_t frame_at = (fpstate - sizeof(struct cr_sigframe)) & ~15ull;
  uint64_t chain_at = frame_at - 8 * (site->chain_len - 1);
  uint64_t lowest = chain_at - (site->wait_at ? CR_WAIT_BYTES : 0);
  if (xbytes > thread->xstate_len || lowest < site->place + (uint64_t)batch->scratch_len) return -ENOSPC;

  uint8_t *x = image + (fpstate - site->place);
  struct cr_fpx_sw sw = {CR_FP_MAGIC1, xbytes + 4, features, xbytes, {0}};
  const uint32_t magic2 = CR_FP_MAGIC2;
  memcpy(x, thread->xstate, xbytes);
  memcpy(x + CR_FPX_SW_AT, &sw, sizeof sw);
  memcpy(x + xbytes, &magic2, 4);

  struct cr_sigframe frame = {.uc_flags = CR_UC_FLAGS, .sigmask = thread->sigmask};
  struct user_regs_struct regs;
  memcpy(&regs, site->orphan, sizeof regs);
  cr_fill_context(&frame.context, &regs);
  frame.context.fpstate = fpstate;
  lay_at(site, &frame, image, chain_at);
  *rsp = site->wait_at ? lay_wait(site, &regs, image, chain_at) : chain_at;
  return 0;
}
