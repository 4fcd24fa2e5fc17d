/* Small reads and writes of a tracee's memory. The bulk goes through bulk.c. */
#include "cr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

static int open_mem(int32_t pid, int flags) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  int fd = open(path, flags | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

/* Copies all of it or fails; /proc/PID/mem also reads and writes what the protection forbids (proc_pid_mem(5)). */
static int64_t through_mem(int32_t pid, int64_t addr, uint8_t *data, int64_t len, int writing) {
  int fd = open_mem(pid, writing ? O_RDWR : O_RDONLY);
  if (fd < 0) return fd;
  int64_t done = 0;
  while (done < len) {
    ssize_t n = writing ? pwrite(fd, data + done, (size_t)(len - done), addr + done)
                        : pread(fd, data + done, (size_t)(len - done), addr + done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      int err = n < 0 ? errno : EFAULT;
      close(fd);
      return -err;
    }
    done += n;
  }
  close(fd);
  return done;
}

CR_API int64_t cr_mem_read(int32_t pid, int64_t addr, uint8_t *out, int64_t len) {
  if (len < 0 || addr < 0) return -EINVAL;
  struct iovec local = {out, (size_t)len}, remote = {(void *)(uintptr_t)addr, (size_t)len};
  if (process_vm_readv(pid, &local, 1, &remote, 1, 0) == len) return len;
  return through_mem(pid, addr, out, len, 0);
}

CR_API int64_t cr_mem_write(int32_t pid, int64_t addr, uint8_t *in, int64_t len) {
  if (len < 0 || addr < 0) return -EINVAL;
  struct iovec local = {in, (size_t)len}, remote = {(void *)(uintptr_t)addr, (size_t)len};
  if (process_vm_writev(pid, &local, 1, &remote, 1, 0) == len) return len;
  return through_mem(pid, addr, in, len, 1);
}
