/* The only architecture file: where registers stand, and the layout of a signal frame (arch/x86/include). */
#ifndef CR_X86_64_H
#define CR_X86_64_H

#include <stdint.h>
#include <sys/user.h>

/* struct sigcontext_64, struct ucontext, struct rt_sigframe as rt_sigreturn reads them. */
struct cr_sigcontext {
  uint64_t r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, flags;
  uint16_t cs, gs, fs, ss;
  uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};
struct cr_sigframe {
  uint64_t pretcode;
  uint64_t uc_flags, uc_link;
  uint64_t stack_sp;
  uint32_t stack_flags, stack_pad;
  uint64_t stack_size;
  struct cr_sigcontext context;
  uint64_t sigmask;
  uint8_t info[128];
};
_Static_assert(sizeof(struct cr_sigcontext) == 256, "sigcontext");
_Static_assert(sizeof(struct cr_sigframe) == 440, "sigframe");

/* struct _fpx_sw_bytes, at byte 464 of the XSAVE area of a signal frame. */
struct cr_fpx_sw {
  uint32_t magic1, extended_size;
  uint64_t xfeatures;
  uint32_t xstate_size, pad[7];
};
#define CR_FPX_SW_AT 464
#define CR_XSTATE_BV_AT 512
#define CR_FP_MAGIC1 0x46505853u
#define CR_FP_MAGIC2 0x46505845u
#define CR_UC_FLAGS 7 /* UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS */

/* Neither disabled nor on-stack nor empty: sigaltstack refuses it, so rt_sigreturn leaves the real one alone. */
#define CR_STACK_FLAGS_REFUSED 0x1234u

#define CR_USER_EFLAGS 0x202u

static inline void cr_set_call(struct user_regs_struct *r, uint64_t nr, const uint64_t args[6]) {
  r->rax = nr;
  r->rdi = args[0];
  r->rsi = args[1];
  r->rdx = args[2];
  r->r10 = args[3];
  r->r8 = args[4];
  r->r9 = args[5];
  r->orig_rax = (unsigned long)-1; /* no restart logic for what we run */
}

static inline void cr_fill_context(struct cr_sigcontext *c, const struct user_regs_struct *r) {
  *c = (struct cr_sigcontext){
      .r8 = r->r8,   .r9 = r->r9,   .r10 = r->r10, .r11 = r->r11, .r12 = r->r12, .r13 = r->r13,
      .r14 = r->r14, .r15 = r->r15, .di = r->rdi,  .si = r->rsi,  .bp = r->rbp,  .bx = r->rbx,
      .dx = r->rdx,  .ax = r->rax,  .cx = r->rcx,  .sp = r->rsp,  .ip = r->rip,  .flags = r->eflags,
      .cs = (uint16_t)r->cs, .ss = (uint16_t)r->ss,
  };
}

#endif
