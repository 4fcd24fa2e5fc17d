/* ptrace requests, one function each (ptrace(2)). The tracee is always seized, never attached: no SIGSTOP. */
#include "cr.h"

#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif
#define CR_GET_RSEQ_CONFIGURATION 0x420f /* PTRACE_GET_RSEQ_CONFIGURATION, Linux 5.13 */
#define PEEK_BATCH 32
#define AWAKE_US 300
#define CR_TLS_FIRST 12 /* GDT_ENTRY_TLS_MIN of a 64-bit kernel */
#define CR_TLS_ENTRIES 3
#define CR_NT_IOPERM 0x201 /* NT_386_IOPERM */
#define CR_SECCOMP_GET_FILTER 0x420c
#define CR_O_SUSPEND_SECCOMP (1 << 21)
#define CR_BPF_BYTES 8 /* struct sock_filter */

static int64_t request(int op, int32_t tid, uintptr_t addr, uintptr_t data) {
  return ptrace(op, tid, (void *)addr, (void *)data) < 0 ? -errno : 0;
}

CR_API int64_t cr_resume(int32_t tid, int32_t signal) {
  return request(PTRACE_CONT, tid, 0, (uintptr_t)(uint32_t)signal);
}

/* Attaches to all and asks them to stop, one right after the other; the count of those that could be. */
CR_API int64_t cr_seize(uint8_t *tids, int32_t count, uint8_t *results) {
  const int32_t *tid = (const int32_t *)tids;
  int32_t *result = (int32_t *)results;
  int64_t seized = 0;
  for (int32_t i = 0; i < count; i++) {
    int64_t err = request(PTRACE_SEIZE, tid[i], 0, PTRACE_O_TRACESYSGOOD);
    if (err == 0) err = request(PTRACE_INTERRUPT, tid[i], 0, 0);
    result[i] = (int32_t)err;
    seized += err == 0;
  }
  return seized;
}

/* In place of its signal each gets 0, or the -errno with which it could not be detached; the count of those that were. */
CR_API int64_t cr_detach(uint8_t *tids, int32_t count, uint8_t *signals) {
  const int32_t *tid = (const int32_t *)tids;
  int32_t *signal = (int32_t *)signals;
  int64_t detached = 0;
  for (int32_t i = 0; i < count; i++) {
    signal[i] = (int32_t)request(PTRACE_DETACH, tid[i], 0, (uintptr_t)(uint32_t)signal[i]);
    detached += signal[i] == 0;
  }
  return detached;
}

static int64_t elapsed_us(const struct timespec *from) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (now.tv_sec - from->tv_sec) * 1000000 + (now.tv_nsec - from->tv_nsec) / 1000;
}

/*
 * Waits without end for the next stop or the end of a tracee. A stop mostly comes within microseconds, and whoever sleeps
 * meanwhile takes longer to wake than that, more so where his CPU went idle. The tracee may have been put behind us on the
 * CPU we are on: so give way, again and again.
 */
int64_t cr_wait_stop(int32_t tid, int *status) {
  struct timespec begin;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (;;) {
    const int awake = elapsed_us(&begin) < AWAKE_US;
    const pid_t found = waitpid(tid, status, __WALL | (awake ? WNOHANG : 0));
    if (found > 0) return 0;
    if (found < 0 && errno != EINTR) return -errno;
    if (awake) sched_yield();
  }
}

/* One look at every tracee that has not reported yet; how many are still to come. */
static int32_t collect(const int32_t *tid, int32_t count, int32_t *status) {
  int32_t left = 0;
  for (int32_t i = 0; i < count; i++) {
    if (status[i] != -ETIMEDOUT) continue;
    int got = 0;
    pid_t found = waitpid(tid[i], &got, __WALL | WNOHANG);
    if (found == tid[i]) {
      status[i] = got;
    } else if (found < 0 && errno != EINTR) {
      status[i] = -errno;
    } else {
      left++;
    }
  }
  return left;
}

/* A stop mostly comes within microseconds: yield first, then sleep in small steps. */
CR_API int64_t cr_wait(uint8_t *tids, int32_t count, uint8_t *statuses, int32_t timeout_ms) {
  int32_t *status = (int32_t *)statuses;
  struct timespec begin;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (int32_t i = 0; i < count; i++) status[i] = -ETIMEDOUT;
  for (;;) {
    int32_t left = collect((const int32_t *)tids, count, status);
    if (left == 0) return 0;
    int64_t us = elapsed_us(&begin);
    if (us > (int64_t)timeout_ms * 1000) return left;
    if (us < AWAKE_US) {
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

/*
 * Our own options and `more` (PTRACE_O_…). Seccomp filters do not see a tracee's calls while we hold it; they do again
 * when we let go, or die. That needs CAP_SYS_ADMIN.
 */
void cr_set_options(int32_t tid, uint32_t more) {
  const uint32_t own = PTRACE_O_TRACESYSGOOD | more;
  if (request(PTRACE_SETOPTIONS, tid, 0, own | CR_O_SUSPEND_SECCOMP) < 0) request(PTRACE_SETOPTIONS, tid, 0, own);
}

static int64_t peek_filter(int32_t tid, int32_t index, uint8_t *out, int32_t size) {
  long count = ptrace(CR_SECCOMP_GET_FILTER, tid, (void *)(uintptr_t)index, NULL);
  if (count < 0) return -errno;
  if (count * CR_BPF_BYTES > size) return -ENOSPC;
  if (ptrace(CR_SECCOMP_GET_FILTER, tid, (void *)(uintptr_t)index, out) < 0) return -errno;
  return count * CR_BPF_BYTES;
}

static int64_t peek_siginfo(int32_t tid, int32_t shared, uint8_t *out, int32_t size) {
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

/* Behind registers: what few programs have set up, as five words, all 0 in the others. */
static int64_t peek_hardware(int32_t tid, uint8_t *out, int32_t size) {
  uint64_t found[CR_HARDWARE_BYTES / 8] = {0};
  uint32_t area[4]; /* struct user_desc: entry, base, limit, bits */
  uint8_t ports[8192];
  size_t len = sizeof ports;
  if (size < (int32_t)sizeof found) return -EINVAL;
  errno = 0;
  long dr7 = ptrace(PTRACE_PEEKUSER, tid, (void *)offsetof(struct user, u_debugreg[7]), NULL);
  if (errno != 0) return -errno;
  found[0] = (uint64_t)dr7;
  for (int i = 0; i < CR_TLS_ENTRIES; i++) {
    if (ptrace(PTRACE_GET_THREAD_AREA, tid, (void *)(uintptr_t)(CR_TLS_FIRST + i), area) < 0) continue;
    found[1 + i] = area[1] != 0 || area[2] != 0;
  }
  found[4] = cr_regset(tid, PTRACE_GETREGSET, CR_NT_IOPERM, ports, &len) == 0 && len > 0;
  memcpy(out, found, sizeof found);
  return sizeof found;
}

CR_API int64_t cr_peek(int32_t tid, int32_t what, uint8_t *out, int32_t size) {
  if (what == CR_PEEK_HARDWARE) return peek_hardware(tid, out, size);
  if (what < 0) return -EINVAL;
  return what < CR_PEEK_FILTER ? peek_siginfo(tid, what, out, size) : peek_filter(tid, what - CR_PEEK_FILTER, out, size);
}
