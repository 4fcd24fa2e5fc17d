/* A system call of our own process: what Node has no function for, by number, with its buffers in one piece. */
#include "cr.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define ARGS 6

/* Whoever calls answers for it that the kernel stays within `data` from each offset on. */
CR_API int64_t cr_own_call(int64_t nr, uint8_t *args, int32_t pointers, uint8_t *data, int32_t len) {
  uint64_t a[ARGS];
  if (nr < 0 || len < 0) return -EINVAL;
  memcpy(a, args, sizeof a);
  for (int i = 0; i < ARGS; i++) {
    if (!(pointers >> i & 1)) continue;
    if (a[i] > (uint64_t)len) return -EINVAL;
    a[i] += (uint64_t)(uintptr_t)data;
  }
  long result = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
  return result < 0 ? -errno : result;
}
