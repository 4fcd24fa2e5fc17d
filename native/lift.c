/* The end of tracking: write protection of a userfaultfd taken away (UFFDIO_WRITEPROTECT, linux/userfaultfd.h). */
#include "beside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

struct uffd_range {
  uint64_t start, len, mode;
};
#define UFFDIO_WRITEPROTECT _IOWR(0xaa, 0x06, struct uffd_range)

struct lift {
  int32_t uffd, count;
  int64_t step;
  struct cr_range ranges[];
};

/* What is unmapped meanwhile is protected no more; with the process itself all is done. */
static int64_t lift(const void *args) {
  const struct lift *all = args;
  for (int32_t i = 0; i < all->count; i++) {
    const struct cr_range *r = &all->ranges[i];
    for (uint64_t at = 0, len; at < r->len; at += len) {
      len = r->len - at < (uint64_t)all->step ? r->len - at : (uint64_t)all->step;
      struct uffd_range range = {r->addr + at, len, 0};
      if (ioctl(all->uffd, UFFDIO_WRITEPROTECT, &range) < 0 && errno == ESRCH) return 0;
    }
  }
  return 0;
}

CR_API int64_t cr_lift(int32_t uffd, uint8_t *ranges, int32_t count, int64_t step) {
  if (count < 0 || step <= 0) return -EINVAL;
  const size_t bytes = sizeof(struct cr_range) * (size_t)count;
  struct lift *all = malloc(sizeof *all + bytes);
  if (!all) return -ENOMEM;
  *all = (struct lift){.uffd = uffd, .count = count, .step = step};
  memcpy(all->ranges, ranges, bytes);
  const int64_t begun = cr_begin(lift, all, sizeof *all + bytes, 1);
  free(all);
  return begun;
}
