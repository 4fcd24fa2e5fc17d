/*
 * Lists of /proc for whose entries the kernel counts pages (smaps, numa_maps), read whole while the caller does something
 * else. The kernel makes entries until its buffer of a page is full, and one that does not fit is made, and counted, again
 * (seq_read_iter() of fs/seq_file.c): so less is asked for at a time, which the last entry may exceed.
 */
#include "beside.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define ENTRIES 2048u /* bytes of two entries of smaps and a half */

struct reading {
  char path[64];
  uint8_t *out;
  size_t size;
};

static int64_t read_list(const void *arg) {
  const struct reading *list = arg;
  int fd = open(list->path, O_RDONLY | O_CLOEXEC);
  size_t len = 0;
  ssize_t n = fd < 0 ? -1 : 1;
  while (n > 0 && list->size - len >= ENTRIES) {
    n = read(fd, list->out + len, ENTRIES);
    if (n > 0) len += (size_t)n;
    if (n < 0 && errno == EINTR) n = 1;
  }
  const int64_t result = n < 0 ? -errno : n > 0 ? -ENOSPC : (int64_t)len;
  if (fd >= 0) close(fd);
  return result;
}

CR_API int64_t cr_read_list(const char *path, uint8_t *out, int64_t size, int32_t flags) {
  struct reading list = {.out = out, .size = (size_t)size};
  if (size < 0 || strlen(path) >= sizeof list.path) return -EINVAL;
  strcpy(list.path, path);
  return flags & CR_LIST_BEGIN ? cr_begin(read_list, &list, sizeof list, 1) : read_list(&list);
}
