/* Writing pages, of which all-zero ones take no room. */
#include "frames.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define PAGE 4096u
#define GAP (64u << 10) /* zeros that are worth another write past the page cache */

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

/* How much of `data` from `at` on goes into one write, and how many zeros that are left out come behind it. */
static size_t next_write(const uint8_t *data, struct cr_range part, int flags, size_t *zeros) {
  const size_t least = flags & CR_COPY_DIRECT ? GAP : PAGE, at = part.off, len = part.len;
  size_t end = at, gap = 0;
  while (end + gap < len && gap < least) {
    gap += PAGE;
    if (is_zero(data + end + gap - PAGE)) continue;
    end += gap;
    gap = 0;
  }
  while (end + gap < len && is_zero(data + end + gap)) gap += PAGE;
  *zeros = gap;
  return end - at;
}

int64_t cr_write_sparse(int fd, const uint8_t *data, const struct cr_range *to, int flags) {
  int64_t written = 0;
  for (size_t at = 0, zeros = 0; at < to->len; at += zeros) {
    size_t full = next_write(data, (struct cr_range){0, to->len, at}, flags, &zeros);
    int64_t err = full == 0 ? 0 : cr_write_whole(fd, data + at, full, to->off + at);
    if (err < 0) return err;
    written += (int64_t)full;
    at += full;
    if (zeros > 0 && flags & CR_COPY_OVER) err = write_zeros(fd, data + at, zeros, to->off + at);
    if (err < 0) return err;
  }
  return written;
}
