/* Small system calls about processes and files that Node does not offer. */
#include "cr.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* 0 when two are one, 1 or 2 in an order of the kernel's, else -errno. */
static int64_t compare(const struct cr_held *a, const struct cr_held *b, int32_t type) {
  long order = syscall(SYS_kcmp, a->pid, b->pid, type, (unsigned long)a->fd, (unsigned long)b->fd);
  return order < 0 ? -errno : order;
}

CR_API int64_t cr_same(uint8_t *items, int32_t count, int32_t type, uint8_t *first) {
  const struct cr_held *item = (const struct cr_held *)items;
  int32_t *same = (int32_t *)first, different = 0;
  if (count < 1) return -EINVAL;
  int32_t *sorted = malloc((size_t)count * sizeof *sorted), gone = 0;
  if (sorted == NULL) return -ENOMEM;
  for (int32_t i = 0; i < count; i++) {
    int32_t low = 0, high = different;
    same[i] = i;
    /* What is like nothing, itself included, has no place in the order. */
    int64_t itself = compare(&item[i], &item[i], type);
    if (itself < 0 && itself != -EPERM) {
      gone++;
      continue;
    }
    while (low < high && same[i] == i) {
      int32_t middle = (low + high) / 2;
      int64_t order = compare(&item[i], &item[sorted[middle]], type);
      if (order == -EPERM) {
        free(sorted);
        return order;
      }
      if (order == 0) same[i] = sorted[middle];
      else if (order == 1) high = middle;
      else low = middle + 1;
    }
    if (same[i] != i) continue;
    memmove(sorted + low + 1, sorted + low, (size_t)(different - low) * sizeof *sorted);
    sorted[low] = i;
    different++;
  }
  free(sorted);
  return different + gone;
}

/* struct sched_attr of the kernel's first version (linux/sched/types.h); libc of Debian 12 has none. */
struct attr {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

CR_API int64_t cr_get_sched(int32_t tid, uint8_t *out, int32_t size) {
  struct cr_sched *s = (struct cr_sched *)out;
  if (size != (int32_t)sizeof *s) return -EINVAL;
  memset(s, 0, sizeof *s);
  struct attr a = {0};
  if (syscall(SYS_sched_getattr, tid, &a, sizeof a, 0) < 0) return -errno;
  s->policy = a.policy;
  s->flags = a.flags;
  /* sched_getattr tells it of ordinary policies only; the others keep it for later. */
  errno = 0;
  s->nice = getpriority(PRIO_PROCESS, (id_t)tid);
  if (errno != 0) return -errno;
  s->priority = a.priority;
  s->runtime = a.runtime;
  s->deadline = a.deadline;
  s->period = a.period;
  long io = syscall(SYS_ioprio_get, 1 /* IOPRIO_WHO_PROCESS */, tid);
  if (io < 0) return -errno;
  s->ioprio = (int32_t)io;
  long len = syscall(SYS_sched_getaffinity, tid, sizeof s->affinity, s->affinity);
  if (len < 0) return -errno;
  s->affinity_len = (uint64_t)len;
  return 0;
}

CR_API int64_t cr_terminal_group(int32_t fd, int32_t pgid) {
  if (pgid == 0) {
    pid_t now = tcgetpgrp(fd);
    return now < 0 ? -errno : now;
  }
  /* A process in the background gets SIGTTOU for asking; it is meant here. */
  sigset_t block, old;
  sigemptyset(&block);
  sigaddset(&block, SIGTTOU);
  pthread_sigmask(SIG_BLOCK, &block, &old);
  int64_t result = tcsetpgrp(fd, pgid) < 0 ? -errno : 0;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return result;
}

/* The xstate components this kernel lets programs use (XGETBV 0); 3 (x87, SSE) without XSAVE. */
CR_API int64_t cr_xcr0(void) {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 3;
  __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  return (int64_t)((uint64_t)d << 32 | a);
}
