/*
 * cr-peek: reads what waits in sockets of a stopped target without taking it, for a cr that may die at any instant.
 *
 *   cr-peek WHAT...     WHAT is queue:PID:FD (a socket) or stop:PID:0 (a process)
 *
 * Only SO_PEEK_OFF (socket(7)) leads past the first message, and it is state of the socket: set here alone, and put
 * back as it was before anything is told. On descriptor 0 it is told by letters:
 *
 *   at start  it has the sockets: h
 *   P         reads them; a SIGSTOP waits for each `stop` process first, so that none runs on should cr die now.
 *             Answers by frames, a `struct frame` and its bytes each, the last one with index -1. Descriptors that are
 *             on their way stay open here, under the numbers that are told, until cr hangs up
 *   L         the SIGSTOPs have been taken back by cr: L
 *
 * When cr hangs up before L, the processes go on.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../guardian.h"

#define MESSAGE_MAX (1 << 22)
#define NAME_MAX_BYTES 128
#define CONTROL_BYTES 4096
#define PASSED_MAX 253 /* SCM_MAX_FD */

/* Followed by the sender's address, descriptors as int32_t, and bytes. */
struct frame {
  int32_t index, error; /* of the sockets as they were named; an errno ends those of this socket */
  uint32_t name, fds, bytes, pad;
};
_Static_assert(sizeof(struct frame) == 24, "frame");

struct target {
  int fd, pidfd, stops;
};

static struct target *targets;
static int count, stops_wait, lacks_memory;
static uint8_t *answer;
static size_t answered, room;
static uint8_t message[MESSAGE_MAX];

__attribute__((noreturn)) static void fail(void) { _exit(1); }

static void append(const void *bytes, size_t length) {
  if (lacks_memory) return;
  if (answered + length > room) {
    size_t wanted = (answered + length) * 2;
    uint8_t *more = realloc(answer, wanted);
    lacks_memory = more == NULL;
    if (lacks_memory) return;
    answer = more;
    room = wanted;
  }
  if (length > 0) memcpy(answer + answered, bytes, length);
  answered += length;
}

/* False when cr has hung up. */
static int tell(const void *bytes, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t sent = write(0, (const uint8_t *)bytes + done, length - done);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return 0;
    done += (size_t)sent;
  }
  return 1;
}

static void signal_all(int number) {
  for (int i = 0; i < count; i++)
    if (targets[i].stops) syscall(SYS_pidfd_send_signal, targets[i].pidfd, number, NULL, 0);
}

static int set_offset(int fd, int offset) {
  return setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) < 0 ? -errno : 0;
}

/* One message, or bytes of a stream, with the descriptors in it. */
struct peeked {
  ssize_t length; /* or -errno */
  socklen_t name_length;
  uint8_t name[NAME_MAX_BYTES];
  int fds[PASSED_MAX], fd_count, has_fds;
};

/* Without `take` no descriptor is made of those on their way. */
static void peek(int fd, size_t size, int take, struct peeked *out) {
  char control[CONTROL_BYTES] __attribute__((aligned(16)));
  struct iovec part = {message, size};
  struct msghdr head = {.msg_name = out->name, .msg_namelen = sizeof out->name, .msg_iov = &part, .msg_iovlen = 1};
  if (take) {
    head.msg_control = control;
    head.msg_controllen = sizeof control;
  }
  out->fd_count = 0;
  ssize_t got = recvmsg(fd, &head, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  out->length = got < 0 ? -errno : got;
  out->name_length = got < 0 ? 0 : head.msg_namelen;
  if (out->name_length > sizeof out->name) out->name_length = sizeof out->name;
  out->has_fds = got >= 0 && (head.msg_flags & MSG_CTRUNC) != 0;
  if (got < 0 || !take) return;
  for (struct cmsghdr *one = CMSG_FIRSTHDR(&head); one != NULL; one = CMSG_NXTHDR(&head, one)) {
    if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_RIGHTS) continue;
    size_t fds = (one->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    if (fds > PASSED_MAX) fds = PASSED_MAX;
    memcpy(out->fds, CMSG_DATA(one), fds * sizeof(int));
    out->fd_count = (int)fds;
  }
  if ((head.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0) out->length = -EMSGSIZE;
}

static void add(int index, const struct peeked *one) {
  struct frame head = {.index = index, .name = one->name_length, .fds = (uint32_t)one->fd_count, .bytes = (uint32_t)one->length};
  append(&head, sizeof head);
  append(one->name, one->name_length);
  append(one->fds, (size_t)one->fd_count * sizeof(int32_t));
  append(message, (size_t)one->length);
}

/* An end that was shut down reads as an empty message for ever, where messages are in sequence. */
static int is_end(int fd) {
  struct pollfd look = {.fd = fd, .events = POLLRDHUP};
  return poll(&look, 1, 0) > 0 && (look.revents & POLLRDHUP) != 0;
}

/* What is read at once ends behind bytes that descriptors came with; where those begin cannot be seen. */
static int walk_stream(int fd, int index) {
  static struct peeked one;
  int total, result = set_offset(fd, 0);
  if (result < 0) return result;
  if (ioctl(fd, FIONREAD, &total) < 0) return -errno;
  for (int offset = 0; offset < total; offset += (int)one.length) {
    peek(fd, sizeof message, 1, &one);
    if (one.length <= 0) return one.length < 0 ? (int)one.length : -EIO;
    add(index, &one);
  }
  return 0;
}

static int walk_messages(int fd, int index, int type) {
  static struct peeked one;
  /* An empty message that somebody has peeked at is seen by nobody behind an offset, but first in the queue without one. */
  peek(fd, sizeof message, 0, &one);
  int ends = type == SOCK_SEQPACKET && is_end(fd);
  if (one.length == 0 && one.has_fds) return -EMSGSIZE;
  if (one.length == 0 && ends) return 0;
  if (one.length == 0) add(index, &one);
  int result = set_offset(fd, 0);
  if (result < 0) return result;
  for (;;) {
    peek(fd, sizeof message, 1, &one);
    if (one.length == -EAGAIN || (one.length == 0 && ends)) return 0;
    if (one.length < 0) return (int)one.length;
    add(index, &one);
  }
}

static int read_queue(int fd, int index) {
  int before, type;
  socklen_t length = sizeof before;
  if (getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &before, &length) < 0) return -errno;
  length = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0) return -errno;
  /* To receive takes the error that waits, even if it only looks. */
  struct pollfd look = {.fd = fd};
  if (type != SOCK_STREAM && poll(&look, 1, 0) > 0 && (look.revents & POLLERR) != 0) return -EIO;
  int result = before == -1 ? 0 : set_offset(fd, -1);
  if (result >= 0) result = type == SOCK_STREAM ? walk_stream(fd, index) : walk_messages(fd, index, type);
  set_offset(fd, before);
  return result;
}

static int read_all(void) {
  for (int i = 0; i < count; i++) {
    if (targets[i].stops) continue;
    int result = read_queue(targets[i].fd, i);
    if (result >= 0) continue;
    struct frame head = {.index = i, .error = -result};
    append(&head, sizeof head);
  }
  struct frame end = {.index = -1};
  append(&end, sizeof end);
  return !lacks_memory && tell(answer, answered);
}

static struct target take(const char *text) {
  struct target t = {.fd = -1, .stops = strncmp(text, "stop:", 5) == 0};
  int pid, number;
  const char *rest = strchr(text, ':');
  if (rest == NULL || sscanf(rest + 1, "%d:%d", &pid, &number) != 2) fail();
  t.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (t.pidfd < 0) fail();
  if (t.stops) return t;
  t.fd = (int)syscall(SYS_pidfd_getfd, t.pidfd, number, 0);
  if (t.fd < 0) fail();
  return t;
}

/* As if nothing had been. */
__attribute__((noreturn)) static void end(void) {
  if (stops_wait) signal_all(SIGCONT);
  _exit(0);
}

int main(int argc, char **argv) {
  /* Until the end is known nothing but SIGKILL may end it. */
  sigset_t all;
  block_signals(&all);
  raise_files();
  targets = calloc((size_t)argc, sizeof *targets);
  if (targets == NULL) return 1;
  for (int i = 1; i < argc; i++) targets[count++] = take(argv[i]);
  if (!tell("h", 1)) end();
  for (;;) {
    char letter;
    ssize_t got = read(0, &letter, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) end();
    if (letter == 'P') {
      stops_wait = 1;
      signal_all(SIGSTOP);
      if (!read_all()) end();
    }
    if (letter == 'L') {
      stops_wait = 0;
      if (!tell("L", 1)) end();
    }
  }
}
