/*
 * cr-lazy PID: the page server of `cr restore --lazy`. It brings the memory of process PID out of its core, and out of
 * those that this one builds on, by a userfaultfd of that process: what is touched first, the rest meanwhile, and ends
 * when all is in place.
 *
 * The kernel gives zeros where content is missing as soon as nobody holds the userfaultfd. So a second process, the
 * guardian, shares the server's table of descriptors (CLONE_FILES: what one holds the other holds, in every instant),
 * and if one of them is killed, the other ends the program. Descriptors: 0 the line to cr, 3 the userfaultfd, from 4 on
 * the cores. On the line it is told the plan (plan.c) and answers `r`, or `error CODE WHAT`, then or at any time later.
 * What is not touched it brings from when cr says `g`, or is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../guardian.h"
#include "lazy.h"

#define EVENTS                                                                                                       \
  (UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP | \
   UFFD_FEATURE_THREAD_ID)
static const char GUARDIAN[] = "cr-guard";

/* Signals that end a group or a session are none of its business: it ends with the program. */
static void stand_apart(void) {
  static const int IGNORED[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGTSTP, SIGUSR1, SIGUSR2, SIGALRM};
  for (size_t i = 0; i < sizeof IGNORED / sizeof *IGNORED; i++) signal(IGNORED[i], SIG_IGN);
  raise_files();
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t written = write(fd, "-1000", 5); /* not without CAP_SYS_RESOURCE */
  (void)written;
  close(fd);
}

/*
 * A copy that fails after the kernel has given the mapping what its pages hang on (its anon_vma). Parts of a mapping that
 * get it one by one do not become one again when mprotect(2) has made them equal, and mremap(2) wants one.
 */
static void prepare(const struct lazy_area *a, const void *unreadable) {
  struct uffdio_copy c = {.dst = a->start, .src = (uint64_t)(uintptr_t)unreadable, .len = PAGE};
  if (ioctl(UFFD_FD, UFFDIO_COPY, &c) == 0) refuse_start("prepare its memory", EPROTO);
  if (errno != EFAULT && errno != EEXIST) refuse_start("prepare its memory", errno);
}

static void watch_memory(const struct plan *plan) {
  void *unreadable = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (unreadable == MAP_FAILED) refuse_start("take memory", errno);
  struct uffdio_api api = {.api = UFFD_API, .features = EVENTS};
  if (ioctl(UFFD_FD, UFFDIO_API, &api) < 0) refuse_start("ask for the events of a userfaultfd", errno);
  for (uint32_t i = 0; i < plan->head.areas; i++) {
    const struct lazy_area *a = &plan->areas[i];
    struct uffdio_register r = {.range = {.start = a->start, .len = a->end - a->start},
                                .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (ioctl(UFFD_FD, UFFDIO_REGISTER, &r) < 0) refuse_start("watch its memory", errno);
    prepare(a, unreadable);
  }
}

static int pidfd_of(int pid) {
  int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (fd < 0) refuse_start("open a process", errno);
  return fd;
}

int main(int argc, char **argv) {
  int pid = argc == 2 ? atoi(argv[1]) : 0;
  if (pid <= 1) refuse_start("read its arguments", EINVAL);
  stand_apart();
  struct plan plan = read_plan();
  report_to(&plan, pid);
  struct watched of = {.pid = pid, .pidfd = pidfd_of(pid), .other = -1};
  watch_memory(&plan);
  struct common *common =
      mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (common == MAP_FAILED) refuse_start("take memory", errno);
  common->uffds[0] = UFFD_FD;
  common->spaces = 1;
  int self = pidfd_of(getpid());
  long guardian = syscall(SYS_clone, CLONE_FILES | CLONE_PIDFD | SIGCHLD, NULL, &of.other, NULL, 0);
  if (guardian < 0) refuse_start("make its guardian", errno);
  if (guardian == 0) {
    of.other = self;
    /* Another name, so that nobody ends both by theirs. */
    size_t room = strlen(argv[0]);
    memset(argv[0], 0, room);
    memcpy(argv[0], GUARDIAN, room < sizeof GUARDIAN ? room : sizeof GUARDIAN);
    prctl(PR_SET_NAME, GUARDIAN);
    guard(&of, common);
  }
  serve(&plan, &of, common);
}
