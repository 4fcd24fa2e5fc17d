/*
 * cr-hold: keeps hold of TCP connections for a cr that may die at any instant.
 *
 *   cr-hold HOLD_MS NAME WHAT...     WHAT is hold:PID:FD, look:PID:FD (no packets held) or stop:PID:0 (a process)
 *
 * It alone puts sockets of a target into repair mode (tcp(7), TCP_REPAIR) and takes them out again, because that mode
 * outlives a killed cr and a write fails in it. Its packet rules are in an nftables table that ends with it. On
 * descriptor 0 it is told by letters, and answers by the same letter, or by a line `error WHAT: WHY`:
 *
 *   at start  the packets of `hold` connections are held back: h
 *   R         repair mode for all; a SIGSTOP waits for each `stop` process first, so that none runs on should cr die
 *             now
 *   O         out of repair mode, with everything as it was
 *   L         the SIGSTOPs have been taken back by cr
 *   K         cr is about to kill the processes
 *   C         they are gone: closes the sockets without a word to their peers and holds packets for HOLD_MS more, or
 *             until somebody connects to the abstract socket NAME
 *
 * When cr hangs up before C, everything is put back and the processes go on.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../guardian.h"
#include "nft.h"

#define REPAIR_ON 1
#define REPAIR_OFF_QUIETLY (-1) /* without a window probe */
#define DEATH_MS 5000

struct held {
  int fd, pidfd, reuse, packets, stops, in_repair;
};

static struct held *held;
static int count, rules = -1, stops_wait;

__attribute__((noreturn)) static void fail(const char *what, int number) {
  char line[160];
  int length = snprintf(line, sizeof line, "error %s: %s\n", what, strerror(number));
  if (write(0, line, (size_t)length) < 0) _exit(2);
  _exit(1);
}

static void answer(char letter) {
  ssize_t sent = write(0, &letter, 1);
  (void)sent; /* cr has hung up: the next read says so */
}

static int signal_all(int number) {
  for (int i = 0; i < count; i++)
    if (held[i].stops && syscall(SYS_pidfd_send_signal, held[i].pidfd, number, NULL, 0) < 0 && errno != ESRCH)
      return -errno;
  return 0;
}

static int set_repair(struct held *h, int value) {
  if (h->fd < 0) return 0;
  if (setsockopt(h->fd, IPPROTO_TCP, TCP_REPAIR, &value, sizeof value) < 0) return -errno;
  h->in_repair = value == REPAIR_ON;
  /* Repair mode sets SO_REUSEADDR in its own way and clears it at its end. */
  if (!h->in_repair) setsockopt(h->fd, SOL_SOCKET, SO_REUSEADDR, &h->reuse, sizeof h->reuse);
  return 0;
}

static void leave_repair(void) {
  for (int i = 0; i < count; i++)
    if (held[i].in_repair) set_repair(&held[i], REPAIR_OFF_QUIETLY);
}

/* As if nothing had been: packets flow, sockets work, processes run. */
static void put_back(void) {
  leave_repair();
  if (rules >= 0) close(rules);
  rules = -1;
  if (stops_wait) signal_all(SIGCONT);
  stops_wait = 0;
}

static int enter_repair(void) {
  stops_wait = 1;
  int result = signal_all(SIGSTOP);
  for (int i = 0; i < count && result >= 0; i++) result = set_repair(&held[i], REPAIR_ON);
  return result < 0 ? result : 0;
}

static struct held take_hold(const char *text) {
  struct held h = {.packets = strncmp(text, "hold:", 5) == 0, .stops = strncmp(text, "stop:", 5) == 0};
  int pid, number;
  if (sscanf(text + 5, "%d:%d", &pid, &number) != 2) fail("read its arguments", EINVAL);
  h.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (h.pidfd < 0) fail("open the process", errno);
  h.fd = -1;
  if (h.stops) return h;
  h.fd = (int)syscall(SYS_pidfd_getfd, h.pidfd, number, 0);
  if (h.fd < 0) fail("take the socket", errno);
  socklen_t length = sizeof h.reuse;
  if (getsockopt(h.fd, SOL_SOCKET, SO_REUSEADDR, &h.reuse, &length) < 0) fail("ask the socket", errno);
  return h;
}

static void hold_packets(const char *name) {
  struct connection *all = calloc((size_t)count + 1, sizeof *all);
  if (all == NULL) fail("take memory", ENOMEM);
  int found = 0;
  for (int i = 0; i < count; i++) {
    if (!held[i].packets) continue;
    int result = connection_of(held[i].fd, &all[found]);
    if (result < 0) fail("ask the connection", -result);
    found++;
  }
  if (found > 0) rules = nft_hold(name, all, found);
  free(all);
  if (found > 0 && rules < 0) fail("make packet rules (nftables)", -rules);
}

static int listen_as(const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(name);
  if (length + 1 > sizeof address.sun_path) fail("read its arguments", EINVAL);
  memcpy(address.sun_path + 1, name, length);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)) < 0 ||
      listen(fd, 8) < 0)
    fail("listen for the restore", errno);
  return fd;
}

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Whether all processes end in this time. */
static int all_died(int timeout_ms) {
  int64_t until = now_ms() + timeout_ms;
  for (int i = 0; i < count; i++) {
    struct pollfd end = {.fd = held[i].pidfd, .events = POLLIN};
    int64_t left = until - now_ms();
    if (poll(&end, 1, left > 0 ? (int)left : 0) <= 0) return 0;
  }
  return 1;
}

/* The processes are gone: in repair mode a close says nothing to the peer. */
static void close_silently(void) {
  for (int i = 0; i < count; i++) {
    if (held[i].packets) set_repair(&held[i], REPAIR_ON);
    if (held[i].fd >= 0) close(held[i].fd);
  }
}

/* Only root and the owner of the checkpoint may let the packets go. */
static int may_release(int client) {
  struct ucred who;
  socklen_t length = sizeof who;
  if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &length) < 0) return 0;
  return who.uid == 0 || who.uid == geteuid();
}

__attribute__((noreturn)) static void hold_on(int door, int hold_ms) {
  if (rules < 0) _exit(0);
  int64_t until = now_ms() + hold_ms;
  for (int64_t left = hold_ms; left > 0; left = until - now_ms()) {
    struct pollfd knock = {.fd = door, .events = POLLIN};
    if (poll(&knock, 1, (int)left) <= 0) continue;
    int client = accept4(door, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) continue;
    if (may_release(client)) {
      close(rules); /* before the client sees our end */
      _exit(0);
    }
    close(client);
  }
  _exit(0);
}

/* cr was killed, or gave up. */
__attribute__((noreturn)) static void hung_up(int killing, int door, int hold_ms) {
  if (killing && all_died(DEATH_MS)) {
    close_silently();
    hold_on(door, hold_ms);
  }
  put_back();
  _exit(0);
}

static void obey(char letter, int *killing) {
  int result = 0;
  if (letter == 'R') result = enter_repair();
  if (letter == 'O') leave_repair();
  if (letter == 'L') stops_wait = 0;
  if (letter == 'K') *killing = 1;
  if (result < 0) {
    put_back();
    fail("enter repair mode (TCP_REPAIR)", -result);
  }
  answer(letter);
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  /* Until the end is known nothing but SIGKILL may end it. */
  sigset_t all;
  block_signals(&all);
  raise_files();
  int hold_ms = atoi(argv[1]);
  held = calloc((size_t)argc, sizeof *held);
  if (held == NULL) return 2;
  for (int i = 3; i < argc; i++) held[count++] = take_hold(argv[i]);
  int door = listen_as(argv[2]);
  hold_packets(argv[2]);
  answer('h');
  int killing = 0;
  for (;;) {
    char letter;
    ssize_t got = read(0, &letter, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) hung_up(killing, door, hold_ms);
    if (letter != 'C') {
      obey(letter, &killing);
      continue;
    }
    close_silently();
    answer('C');
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    close(0);
    hold_on(door, hold_ms);
  }
}
