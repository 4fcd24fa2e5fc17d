/* ptrace requests, one function each (ptrace(2)). The tracee is always seized, never attached: no SIGSTOP. */
#include "cr.h"

#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif
#define CR_GET_RSEQ_CONFIGURATION 0x420f /* PTRACE_GET_RSEQ_CONFIGURATION, Linux 5.13 */
#define PEEK_BATCH 32

static int64_t request(int op, int32_t tid, uintptr_t addr, uintptr_t data) {
  return ptrace(op, tid, (void *)addr, (void *)data) < 0 ? -errno : 0;
}

CR_API int64_t cr_seize(int32_t tid) {
  return request(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD);
}

CR_API int64_t cr_interrupt(int32_t tid) {
  return request(PTRACE_INTERRUPT, tid, 0, 0);
}

CR_API int64_t cr_resume(int32_t tid, int32_t signal) {
  return request(PTRACE_CONT, tid, 0, (uintptr_t)(uint32_t)signal);
}

CR_API int64_t cr_detach(int32_t tid, int32_t signal) {
  return request(PTRACE_DETACH, tid, 0, (uintptr_t)(uint32_t)signal);
}

/* Waits without end for the next stop or the end of a tracee. */
int64_t cr_wait_stop(int32_t tid, int *status) {
  for (;;) {
    if (waitpid(tid, status, __WALL) >= 0) return 0;
    if (errno != EINTR) return -errno;
  }
}

static int64_t elapsed_us(const struct timespec *from) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (now.tv_sec - from->tv_sec) * 1000000 + (now.tv_nsec - from->tv_nsec) / 1000;
}

/* A stop mostly comes within microseconds: yield first, then sleep in small steps. */
CR_API int64_t cr_wait(int32_t tid, int32_t timeout_ms) {
  struct timespec begin;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (;;) {
    int status = 0;
    pid_t got = waitpid(tid, &status, __WALL | WNOHANG);
    if (got == tid) return status;
    if (got < 0 && errno != EINTR) return -errno;
    int64_t us = elapsed_us(&begin);
    if (us > (int64_t)timeout_ms * 1000) return -ETIMEDOUT;
    if (us < 300) {
      sched_yield();
    } else {
      struct timespec nap = {0, us < 20000 ? 50000 : 1000000};
      nanosleep(&nap, NULL);
    }
  }
}

/* Reads or writes one regset; *len is the buffer's size going in, the regset's coming out. */
int64_t cr_regset(int32_t tid, int op, int type, void *data, size_t *len) {
  struct iovec iov = {data, *len};
  if (ptrace(op, tid, (void *)(uintptr_t)type, &iov) < 0) return -errno;
  *len = iov.iov_len;
  return 0;
}

struct rseq_configuration {
  uint64_t addr;
  uint32_t size, signature, flags, pad;
};

static void get_rseq(int32_t tid, struct cr_thread *t) {
  struct rseq_configuration conf = {0};
  if (ptrace(CR_GET_RSEQ_CONFIGURATION, tid, (void *)sizeof conf, &conf) < 0) return;
  t->rseq_addr = conf.addr;
  t->rseq_size = conf.size;
  t->rseq_sig = conf.signature;
  t->rseq_flags = conf.flags;
}

CR_API int64_t cr_get_thread(int32_t tid, uint8_t *thread, int32_t size) {
  struct cr_thread *t = (struct cr_thread *)thread;
  if (size != (int32_t)sizeof *t) return -EINVAL;
  memset(t, 0, sizeof *t);
  size_t regs = sizeof t->regs, fpregs = sizeof t->fpregs, xstate = sizeof t->xstate;
  int64_t err = cr_regset(tid, PTRACE_GETREGSET, NT_PRSTATUS, t->regs, &regs);
  if (err < 0) return err;
  if (regs != CR_REGS_BYTES) return -ENOEXEC; /* a 32-bit tracee has a smaller regset */
  err = cr_regset(tid, PTRACE_GETREGSET, NT_PRFPREG, t->fpregs, &fpregs);
  if (err < 0) return err;
  err = cr_regset(tid, PTRACE_GETREGSET, NT_X86_XSTATE, t->xstate, &xstate);
  if (err < 0) return err;
  t->xstate_len = xstate;
  err = request(PTRACE_GETSIGMASK, tid, sizeof t->sigmask, (uintptr_t)&t->sigmask);
  if (err < 0) return err;
  get_rseq(tid, t);
  size_t len = 0;
  void *head = NULL;
  if (syscall(SYS_get_robust_list, tid, &head, &len) < 0) return -errno;
  t->robust_head = (uintptr_t)head;
  t->robust_len = len;
  return 0;
}

CR_API int64_t cr_set_registers(int32_t tid, uint8_t *regs, int32_t size) {
  size_t len = CR_REGS_BYTES;
  if (size != CR_REGS_BYTES) return -EINVAL;
  return cr_regset(tid, PTRACE_SETREGSET, NT_PRSTATUS, regs, &len);
}

CR_API int64_t cr_set_sigmask(int32_t tid, uint8_t *mask, int32_t size) {
  if (size != 8) return -EINVAL;
  return request(PTRACE_SETSIGMASK, tid, 8, (uintptr_t)mask);
}

CR_API int64_t cr_set_thread(int32_t tid, uint8_t *thread, int32_t size) {
  struct cr_thread *t = (struct cr_thread *)thread;
  if (size != (int32_t)sizeof *t || t->xstate_len > CR_XSTATE_MAX) return -EINVAL;
  size_t fpregs = sizeof t->fpregs, xstate = t->xstate_len;
  int64_t err = xstate ? cr_regset(tid, PTRACE_SETREGSET, NT_X86_XSTATE, t->xstate, &xstate)
                       : cr_regset(tid, PTRACE_SETREGSET, NT_PRFPREG, t->fpregs, &fpregs);
  if (err < 0) return err;
  err = request(PTRACE_SETSIGMASK, tid, sizeof t->sigmask, (uintptr_t)&t->sigmask);
  if (err < 0) return err;
  return cr_set_registers(tid, t->regs, sizeof t->regs);
}

CR_API int64_t cr_peek_siginfo(int32_t tid, int32_t shared, uint8_t *out, int32_t size) {
  int64_t count = 0, cap = size / CR_SIGINFO_BYTES;
  while (count < cap) {
    struct __ptrace_peeksiginfo_args args = {
        .off = (uint64_t)count,
        .flags = shared ? PTRACE_PEEKSIGINFO_SHARED : 0,
        .nr = (int32_t)(cap - count < PEEK_BATCH ? cap - count : PEEK_BATCH),
    };
    long got = ptrace(PTRACE_PEEKSIGINFO, tid, &args, out + count * CR_SIGINFO_BYTES);
    if (got < 0) return -errno;
    if (got == 0) break;
    count += got;
  }
  return count;
}
