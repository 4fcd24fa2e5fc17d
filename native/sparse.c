/* Writing pages where all-zero ones take no room. */
#include "frames.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define PAGE 4096u

static int is_zero(const uint8_t *page) {
  uint64_t first;
  memcpy(&first, page, 8);
  return first == 0 && memcmp(page, page + 8, PAGE - 8) == 0;
}

/* Zeros where something may stand; as a hole, where the file system has them. */
static int64_t write_zeros(int fd, const uint8_t *zeros, size_t len, uint64_t off) {
  if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) == 0) return 0;
  return errno == EOPNOTSUPP || errno == ENOSYS ? cr_write_whole(fd, zeros, len, off) : -errno;
}

int64_t cr_write_sparse(int fd, const uint8_t *data, const struct cr_range *to, int over) {
  int64_t written = 0;
  for (size_t at = 0; at < to->len;) {
    size_t end = at;
    while (end < to->len && !is_zero(data + end)) end += PAGE;
    if (end > at) {
      int64_t err = cr_write_whole(fd, data + at, end - at, to->off + at);
      if (err < 0) return err;
      written += (int64_t)(end - at);
    }
    at = end;
    while (at < to->len && is_zero(data + at)) at += PAGE;
    if (at > end && over) {
      int64_t err = write_zeros(fd, data + end, at - end, to->off + end);
      if (err < 0) return err;
    }
  }
  return written;
}
