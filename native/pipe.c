/* Pipes: looking at what waits in one without taking it, and making one in which something waits. */
#include "cr.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void close_both(const int ends[2]) {
  close(ends[0]);
  close(ends[1]);
}

/* A pipe with room for as much as another one; its ends or -errno. */
static int64_t pipe_like(int ends[2], int capacity) {
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return -errno;
  if (fcntl(ends[1], F_SETPIPE_SZ, capacity) >= capacity) return 0;
  int64_t err = errno ? -errno : -ENOSPC;
  close_both(ends);
  return err;
}

CR_API int64_t cr_peek_pipe(int32_t fd, uint8_t *out, int32_t size) {
  int waiting = 0, copy[2], capacity = fcntl(fd, F_GETPIPE_SZ);
  if (capacity < 0 || ioctl(fd, FIONREAD, &waiting) < 0) return -errno;
  if (waiting == 0) return 0;
  if (waiting > size) return -ENOSPC;
  int64_t result = pipe_like(copy, capacity);
  if (result < 0) return result;
  /* tee(2) copies references to the buffers and leaves the pipe as it is. */
  ssize_t n = tee(fd, copy[1], (size_t)capacity, SPLICE_F_NONBLOCK);
  result = n < 0 ? -errno : n != waiting ? -EAGAIN : 0;
  for (int done = 0; result >= 0 && done < waiting; done += (int)n) {
    n = read(copy[0], out + done, (size_t)(waiting - done));
    if (n <= 0) {
      result = n < 0 ? -errno : -EIO;
      break;
    }
  }
  close_both(copy);
  return result < 0 ? result : waiting;
}

CR_API int64_t cr_pipe(uint8_t *fds, uint8_t *data, int32_t len) {
  int ends[2];
  if (len < 0) return -EINVAL;
  int64_t err = pipe_like(ends, len > 65536 ? len : 65536);
  if (err < 0) return err;
  if (len > 0 && write(ends[1], data, (size_t)len) != len) {
    close_both(ends);
    return -ENOSPC;
  }
  for (int i = 0; i < 2; i++) fcntl(ends[i], F_SETFL, 0);
  const int32_t out[2] = {ends[0], ends[1]};
  memcpy(fds, out, sizeof out);
  return 0;
}
