/*
 * The page server: what the program touches first, everything else when there is nothing to do. Whatever the program
 * does to its memory waits in the kernel until it has been read here, and no page is placed meanwhile (EAGAIN).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lazy.h"

#define MESSAGES 64
#define PAUSE_MS 5
#define ENDED_MS 50
/* An event of munmap(2) may come behind one of a later mremap(2) to the same place. */
#define REORDER_MS 2000

struct fault {
  int space;
  uint64_t at;
};

static const struct plan *plan;
static struct common *common;
static struct space spaces[SPACES_MAX]; /* uffd -1: gone */
static struct pollfd polled[SPACES_MAX + 4];
static struct fault *faults;
static size_t fault_count, fault_room;
static int count, program, program_pid, guardian, has_ended, goes_on, pace = -1;

__attribute__((noreturn)) static void lose(const char *code, const char *text) {
  report(code, text);
  common->told = 1;
  end_program(program, program_pid, common);
}

__attribute__((noreturn)) static void lose_run(uint32_t index, int err) {
  const struct lazy_run *r = &plan->runs[index];
  const char *code = err == -EBADMSG ? "CORE_CORRUPT" : err == -ENODATA ? "CORE_TRUNCATED" : "CORE_UNREADABLE";
  const char *what = err == -EBADMSG   ? "do not match their checksum"
                     : err == -ENODATA ? "are behind the end of the file"
                                       : strerror(-err);
  const char *name = plan->names[r->source];
  char text[TEXT_MAX];
  snprintf(text, sizeof text, "the pages at 0x%llx (file offset %llu%s%s): %s", (unsigned long long)r->addr,
           (unsigned long long)r->off, *name ? " of " : "", name, what);
  lose(err == -ENOMEM ? "LIMIT_TOO_LOW" : code, text);
}

static void drop_space(int index) {
  struct space *s = &spaces[index];
  common->uffds[index] = -1;
  close(s->uffd);
  free(s->pieces);
  *s = (struct space){.uffd = -1};
}

static void drop_gone(const struct space *except) {
  for (int i = 0; i < count; i++)
    if (&spaces[i] != except && spaces[i].uffd >= 0 && is_gone(&spaces[i])) drop_space(i);
}

/* Children that have ended, or have another program by now, leave their places to others. */
static void add_space(int uffd, const struct space *parent) {
  int at = 0, err = 0;
  drop_gone(parent);
  while (at < count && spaces[at].uffd >= 0) at++;
  if (at == SPACES_MAX) lose("LIMIT_TOO_LOW", "it has too many children before its memory was there");
  if (parent)
    err = space_copy(parent, &spaces[at], uffd);
  else
    space_open(&spaces[at], uffd, plan);
  if (err < 0) lose("LIMIT_TOO_LOW", strerror(-err));
  common->uffds[at] = uffd;
  if (at == count) common->spaces = ++count;
}

static void add_fault(int space, uint64_t at) {
  if (fault_count == fault_room) {
    fault_room = fault_room ? fault_room * 2 : 64;
    faults = realloc(faults, fault_room * sizeof *faults);
    if (faults == NULL) lose("LIMIT_TOO_LOW", strerror(ENOMEM));
  }
  faults[fault_count++] = (struct fault){space, at / PAGE * PAGE};
}

static void take(int index, const struct uffd_msg *m) {
  struct space *s = &spaces[index];
  uint64_t now = now_ms(), since = now > REORDER_MS ? now - REORDER_MS : 1;
  int err = 0;
  switch (m->event) {
    case UFFD_EVENT_PAGEFAULT:
      add_fault(index, m->arg.pagefault.address);
      break;
    case UFFD_EVENT_FORK:
      add_space((int)m->arg.fork.ufd, s);
      break;
    case UFFD_EVENT_REMAP:
      err = space_move(s, m->arg.remap.from, m->arg.remap.to, m->arg.remap.len);
      break;
    case UFFD_EVENT_REMOVE:
      err = space_cut(s, m->arg.remove.start, m->arg.remove.end, 0);
      break;
    case UFFD_EVENT_UNMAP:
      err = space_cut(s, m->arg.remove.start, m->arg.remove.end, since);
      break;
    default:
      break;
  }
  if (err < 0) lose("LIMIT_TOO_LOW", strerror(-err));
}

/* Everything that waits: the kernel hands faults out first, so an event may change what a fault before it needs. */
static void drain(int index) {
  struct uffd_msg messages[MESSAGES];
  for (;;) {
    ssize_t n = read(spaces[index].uffd, messages, sizeof messages);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) lose("PAGE_SERVER_LOST", n < 0 ? strerror(errno) : "its events ended");
    for (size_t i = 0; i < (size_t)n / sizeof *messages; i++) take(index, &messages[i]);
  }
}

/* The outcome of a try: true when it has to be made again, after events have been read. */
static int must_wait(int index, uint32_t run, int err) {
  if (err == -ESRCH) drop_space(index);
  if (err == 0 || err == -ESRCH) return 0;
  if (err != -EAGAIN) lose_run(run, err);
  return 1;
}

static int serve_fault(const struct fault *fault) {
  struct space *s = &spaces[fault->space];
  if (s->uffd < 0) return 0;
  size_t i = space_find(s, fault->at);
  while (i < s->count && s->pieces[i].len == 0 && s->pieces[i].addr <= fault->at) i++;
  if (i < s->count && s->pieces[i].len > 0 && s->pieces[i].addr <= fault->at) {
    uint32_t run = s->pieces[i].run;
    if (must_wait(fault->space, run, place_piece(s, i))) return 1;
    if (s->uffd < 0) return 0;
  }
  return must_wait(fault->space, 0, place_zero(s, fault->at));
}

static int serve_faults(void) {
  size_t kept = 0;
  for (size_t i = 0; i < fault_count; i++)
    if (serve_fault(&faults[i])) faults[kept++] = faults[i];
  fault_count = kept;
  return kept > 0;
}

/* -1 when everything is in place. */
static int unfilled(void) {
  for (int i = 0; i < count; i++)
    if (spaces[i].uffd >= 0 && spaces[i].left > 0) return i;
  return -1;
}

/* cr says so by any byte, or by its end, when the program is on its way. */
static void hear_cr(void) {
  char byte;
  if (recv(LINE_FD, &byte, 1, MSG_DONTWAIT) >= 0 || (errno != EAGAIN && errno != EINTR)) goes_on = 1;
}

/* Not while cr still works in the program and needs the processors itself. Tests let single pieces through: a byte each,
 * `g` for all. */
static int may_fill(void) {
  char letter;
  if (!goes_on) return 0;
  if (pace < 0) return 1;
  if (read(pace, &letter, 1) != 1) return 0;
  if (letter == 'g') {
    close(pace);
    pace = -1;
  }
  return 1;
}

static int fill_one(int index) {
  struct space *s = &spaces[index];
  while (s->next < s->count && s->pieces[s->next].len == 0) s->next++;
  if (s->next >= s->count) {
    s->next = 0;
    return 0;
  }
  return must_wait(index, s->pieces[s->next].run, place_piece(s, s->next));
}

static void wait_for(int timeout) {
  int n = 0;
  polled[n++] = (struct pollfd){.fd = guardian, .events = POLLIN};
  polled[n++] = (struct pollfd){.fd = has_ended ? -1 : program, .events = POLLIN};
  polled[n++] = (struct pollfd){.fd = pace, .events = POLLIN};
  polled[n++] = (struct pollfd){.fd = goes_on ? -1 : LINE_FD, .events = POLLIN};
  for (int i = 0; i < count; i++) polled[n++] = (struct pollfd){.fd = spaces[i].uffd, .events = POLLIN};
  if (poll(polled, (nfds_t)n, has_ended && (timeout < 0 || timeout > ENDED_MS) ? ENDED_MS : timeout) < 0) return;
  if (polled[0].revents) lose("PAGE_SERVER_LOST", "the guardian of its page server was killed");
  if (polled[1].revents) has_ended = 1;
  if (polled[3].revents) hear_cr();
  int before = count;
  for (int i = 0; i < before; i++)
    if (spaces[i].uffd >= 0 && polled[i + 4].revents) drain(i);
  if (has_ended) drop_gone(NULL);
}

static void begin(int uffd) {
  open_sources(plan);
  if (plan->head.pace_len > 0) pace = open(plan->pace, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  add_space(uffd, NULL);
}

void serve(const struct plan *the_plan, const struct watched *of, struct common *shared) {
  plan = the_plan;
  common = shared;
  program = of->pidfd;
  program_pid = of->pid;
  guardian = of->other;
  begin(UFFD_FD);
  if (write(LINE_FD, "r", 1) < 0) has_ended = 0; /* that cr has gone is told by the program's end */
  for (;;) {
    int again = serve_faults();
    int index = unfilled();
    if (index < 0 && fault_count == 0) break;
    int may = !again && index >= 0 && may_fill();
    if (may) again = fill_one(index);
    wait_for(again ? PAUSE_MS : may || (goes_on && pace < 0 && index >= 0) ? 0 : -1);
  }
  common->done = 1;
  _exit(0);
}
