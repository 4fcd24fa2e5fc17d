/*
 * Lists of /proc for whose entries the kernel counts pages (smaps, numa_maps), read whole while the caller does something
 * else. The kernel makes entries until its buffer of a page is full, and one that does not fit is made, and counted, again
 * (seq_read_iter() of fs/seq_file.c): so less is asked for at a time, which the last entry may exceed.
 */
#include "cr.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define ENTRIES 2048u /* bytes of two entries of smaps and a half */

struct reading {
  const char *path;
  uint8_t *out;
  size_t size;
  int64_t result;
};

static void *read_list(void *arg) {
  struct reading *list = arg;
  int fd = open(list->path, O_RDONLY | O_CLOEXEC);
  size_t len = 0;
  ssize_t n = fd < 0 ? -1 : 1;
  while (n > 0 && list->size - len >= ENTRIES) {
    n = read(fd, list->out + len, ENTRIES);
    if (n > 0) len += (size_t)n;
    if (n < 0 && errno == EINTR) n = 1;
  }
  list->result = n < 0 ? -errno : n > 0 ? -ENOSPC : (int64_t)len;
  if (fd >= 0) close(fd);
  return NULL;
}

CR_API int64_t cr_read_list(const char *path, uint8_t *out, int64_t size, int32_t flags) {
  if (size < CR_LIST_HEAD) return -EINVAL;
  struct reading list = {path, out + CR_LIST_HEAD, (size_t)size - CR_LIST_HEAD, 0};
  cr_in_threads(read_list, &list, 1, flags & CR_LIST_GENTLY);
  int64_t told = list.result < 0 ? list.result : list.result + 1;
  __atomic_store_n((int64_t *)(void *)out, told, __ATOMIC_RELEASE);
  return list.result;
}
