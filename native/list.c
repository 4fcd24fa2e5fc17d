/*
 * Lists of /proc for whose entries the kernel counts pages (smaps, numa_maps), read whole while the caller does something
 * else. The kernel makes entries until its buffer of a page is full, and one that does not fit is made, and counted, again
 * (seq_read_iter() of fs/seq_file.c): so less is asked for at a time, which the last entry may exceed.
 */
#include "cr.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define ENTRIES 2048u /* bytes of two entries of smaps and a half */

static int64_t read_list(const char *path, uint8_t *out, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  size_t len = 0;
  ssize_t n = 1;
  while (n > 0 && size - len >= ENTRIES) {
    n = read(fd, out + len, ENTRIES);
    if (n > 0) len += (size_t)n;
    if (n < 0 && errno == EINTR) n = 1;
  }
  int64_t err = n < 0 ? -errno : n > 0 ? -ENOSPC : 0;
  close(fd);
  return err < 0 ? err : (int64_t)len;
}

CR_API int64_t cr_read_list(const char *path, uint8_t *out, int64_t size) {
  if (size < CR_LIST_HEAD) return -EINVAL;
  int64_t result = read_list(path, out + CR_LIST_HEAD, (size_t)size - CR_LIST_HEAD);
  int64_t told = result < 0 ? result : result + 1;
  __atomic_store_n((int64_t *)(void *)out, told, __ATOMIC_RELEASE);
  return result;
}
