/*
 * When content cannot come any more, nobody who waits for it may go on: the kernel would give zeros as soon as the last
 * descriptor is closed. So whoever is left of server and guardian kills the program and its children, holding on to
 * their userfaultfds until the last of these address spaces is gone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lazy.h"

#define LOOK_MS 20

/* Newer than the headers of Debian 12 (Linux 6.6): whoever touches the page gets SIGBUS, or an error. */
struct poison {
  struct uffdio_range range;
  uint64_t mode;
  int64_t updated;
};
#define POISON _IOWR(UFFDIO, 0x08, struct poison)

static int folder = -1;
static char name[300];

/* Beside the core; the folder is opened now, because it may have another name later. */
void report_to(const struct plan *plan, int pid) {
  const char *slash = strrchr(plan->core, '/');
  char path[4200] = ".";
  if (slash) snprintf(path, sizeof path, "%.*s", slash == plan->core ? 1 : (int)(slash - plan->core), plan->core);
  folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  snprintf(name, sizeof name, "%.200s.lost.%d", slash ? slash + 1 : plan->core, pid);
}

/* To cr if it is there, else to a file beside the core. Nothing can be done where that fails, too. */
void report(const char *code, const char *text) {
  char line[TEXT_MAX + 40];
  int len = snprintf(line, sizeof line, "error %s %s\n", code, text);
  if (send(LINE_FD, line, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) == len || folder < 0) return;
  int fd = openat(folder, name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1) return;
  ssize_t written = write(fd, line + 6, (size_t)len - 6);
  (void)written;
  close(fd);
}

/* Whether a process waits for pages, at an address or (0) anywhere: VmFlags of proc_pid_smaps(5). */
static int waits(int pid, uint64_t at) {
  char path[40], line[512];
  snprintf(path, sizeof path, "/proc/%d/smaps", pid);
  FILE *file = fopen(path, "re");
  if (file == NULL) return 0;
  unsigned long long start = 0, end = 0, from, to;
  char rights;
  int found = 0;
  while (!found && fgets(line, sizeof line, file)) {
    if (sscanf(line, "%llx-%llx %c", &from, &to, &rights) == 3) {
      start = from;
      end = to;
    }
    if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " um")) found = at == 0 || (at >= start && at < end);
  }
  fclose(file);
  return found;
}

static int parent_of(int pid) {
  char path[40], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC), parent = 0;
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  text[n > 0 ? n : 0] = 0;
  const char *behind = strrchr(text, ')');
  if (behind == NULL || sscanf(behind + 1, " %*c %d", &parent) != 1) return 0;
  return parent;
}

static int descends(int pid, int from) {
  for (int up = parent_of(pid), steps = 0; up > 1 && steps < 1000; up = parent_of(up), steps++)
    if (up == from) return 1;
  return 0;
}

/* None of them can fork meanwhile: a fork waits until its event has been read. */
static void kill_children(int pid) {
  DIR *all = opendir("/proc");
  if (all == NULL) return;
  for (struct dirent *one; (one = readdir(all)) != NULL;) {
    int other = atoi(one->d_name);
    if (other > 1 && other != pid && descends(other, pid) && waits(other, 0)) kill(other, SIGKILL);
  }
  closedir(all);
}

/* A child whose parent has gone is known by its fault alone. */
static void kill_who_waits(int uffd, struct common *common) {
  struct uffd_msg m;
  while (read(uffd, &m, sizeof m) == (ssize_t)sizeof m) {
    if (m.event == UFFD_EVENT_FORK && common->spaces < SPACES_MAX) {
      common->uffds[common->spaces] = (int)m.arg.fork.ufd;
      common->spaces++;
    }
    int tid = (int)m.arg.pagefault.feat.ptid;
    if (m.event != UFFD_EVENT_PAGEFAULT) continue;
    if (tid > 1 && waits(tid, m.arg.pagefault.address)) {
      kill(tid, SIGKILL);
      continue;
    }
    /* Somebody else who reads its memory, a debugger say, is not to wait for ever. */
    struct poison p = {.range = {.start = m.arg.pagefault.address / PAGE * PAGE, .len = PAGE}};
    ioctl(uffd, POISON, &p);
  }
}

void end_program(int pidfd, int pid, struct common *common) {
  struct pollfd ended = {.fd = pidfd, .events = POLLIN};
  if (poll(&ended, 1, 0) == 0) {
    kill_children(pid);
    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
  }
  for (int left = 1; left > 0;) {
    left = 0;
    for (int i = 0; i < common->spaces; i++) {
      struct space s = {.uffd = common->uffds[i]};
      if (s.uffd < 0) continue;
      kill_who_waits(s.uffd, common);
      if (is_gone(&s)) common->uffds[i] = -1;
      left++;
    }
    poll(NULL, 0, left ? LOOK_MS : 0);
  }
  _exit(1);
}

void guard(const struct watched *of, struct common *common) {
  struct pollfd server = {.fd = of->other, .events = POLLIN};
  while (poll(&server, 1, -1) < 0 && errno == EINTR) continue;
  if (common->done) _exit(0);
  if (!common->told) report("PAGE_SERVER_LOST", "its page server (cr-lazy) was killed");
  end_program(of->pidfd, of->pid, common);
}
