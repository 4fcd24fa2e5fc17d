/*
 * Starts a restore in surroundings of its own: under another user's identity, or in a pid namespace whose process 1
 * this becomes. Process 1 reaps, passes nothing on and lives as long as anything else in there; it ends at once, and
 * the kernel all others with it, when the cr that started it is gone before it has said `g`.
 *
 *   cr-init user|pid|none UID:GID:[GID,...]|- CONTROL-FD REPORT-FD LAST-PID PROGRAM [ARGUMENT...]
 *
 * Tells one JSON object a line on REPORT-FD: {"init":PID}, or {"failed":WHAT,"errno":N} and status 126.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUPS_MAX 65536
#define BIT(cap) (1ull << (cap))

static int report = -1;

static _Noreturn void fail(const char *what) {
  dprintf(report, "{\"failed\":\"%s\",\"errno\":%d}\n", what, errno);
  _exit(126);
}

static int number(const char *text) {
  char *end;
  errno = 0;
  long n = strtol(text, &end, 10);
  if (errno || *end || end == text || n < 0 || n > INT32_MAX) {
    errno = EINVAL;
    fail("read its arguments");
  }
  return (int)n;
}

static int put(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t n = write(fd, text, strlen(text));
  int err = errno;
  close(fd);
  errno = err;
  return n < 0 ? -1 : 0;
}

/* Exactly these capabilities, which an exec by an ordinary user keeps (capabilities(7), ambient). */
static void keep_capabilities(uint64_t set) {
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  for (int i = 0; i < 2; i++) {
    uint32_t half = (uint32_t)(set >> (32 * i));
    data[i] = (struct __user_cap_data_struct){half, half, half};
  }
  if (syscall(SYS_capset, &head, data) < 0) fail("set capabilities");
  for (int cap = 0; cap < 64; cap++) {
    if (!(set & BIT(cap))) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0) fail("set ambient capabilities");
  }
}

/* A new user namespace begins with a full bounding set: what runs in it is to have the one that we had. */
static uint64_t bounding_set(void) {
  uint64_t set = 0;
  for (int cap = 0; cap < 64; cap++) set |= prctl(PR_CAPBSET_READ, cap) == 1 ? BIT(cap) : 0;
  return set;
}

/* An ordinary user may map itself, and nobody else, once groups cannot be changed any more (user_namespaces(7)). */
static void enter_user_namespace(void) {
  char uids[64], gids[64];
  uint64_t bounding = bounding_set();
  snprintf(uids, sizeof uids, "%u %u 1\n", geteuid(), geteuid());
  snprintf(gids, sizeof gids, "%u %u 1\n", getegid(), getegid());
  if (unshare(CLONE_NEWUSER) < 0) fail("make a user namespace");
  if (put("/proc/self/setgroups", "deny\n") < 0) fail("fix the groups of the user namespace");
  if (put("/proc/self/uid_map", uids) < 0) fail("map the user of the user namespace");
  if (put("/proc/self/gid_map", gids) < 0) fail("map the group of the user namespace");
  for (int cap = 0; cap < 64; cap++) {
    if (bounding & BIT(cap) || prctl(PR_CAPBSET_READ, cap) != 1) continue;
    if (prctl(PR_CAPBSET_DROP, cap) < 0) fail("limit capabilities");
  }
}

/* An own /proc, while mounts of the host still come through. */
static void mount_proc(void) {
  if (mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) fail("take the mounts apart");
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0) fail("mount its own /proc");
}

/* Becomes UID:GID:GROUPS with nothing left of root but the choice of pids. */
static void become(const char *who) {
  static gid_t groups[GROUPS_MAX];
  char *copy = strdup(who), *uid = copy ? strsep(&copy, ":") : NULL, *gid = strsep(&copy, ":"), *group;
  size_t count = 0;
  if (!uid || !gid || !copy) fail("read its arguments");
  while ((group = strsep(&copy, ","))) {
    if (*group && count < GROUPS_MAX) groups[count++] = (gid_t)number(group);
  }
  gid_t g = (gid_t)number(gid);
  uid_t u = (uid_t)number(uid);
  if (setgroups(count, groups) < 0 || setresgid(g, g, g) < 0) fail("take on the groups of the owner");
  if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setresuid(u, u, u) < 0) fail("take on the identity of the owner");
  keep_capabilities(BIT(CAP_CHECKPOINT_RESTORE));
}

struct plan {
  int user, control;
  const char *who, *last_pid;
  char **program;
};

/* The process that restores. */
static _Noreturn void run(const struct plan *p) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (strcmp(p->who, "-") != 0) become(p->who);
  else if (p->user) keep_capabilities(BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_TIME) | BIT(CAP_CHECKPOINT_RESTORE));
  execv(p->program[0], p->program);
  fail("start node");
}

/* Whether everything in here has ended. */
static int reap(void) {
  for (;;) {
    pid_t pid = waitpid(-1, NULL, WNOHANG | __WALL);
    if (pid == 0) return 0;
    if (pid < 0 && errno != EINTR) return 1;
  }
}

/* Process 1: until all others have ended, or the cr outside has, unless that has let go. */
static _Noreturn void serve(int control, int signals) {
  struct pollfd fds[2] = {{.fd = signals, .events = POLLIN}, {.fd = control, .events = POLLIN}};
  struct signalfd_siginfo info;
  char word;
  for (;;) {
    if (poll(fds, 2, -1) < 0 && errno != EINTR) _exit(1);
    if (fds[0].revents && read(signals, &info, sizeof info) < 0) _exit(1);
    if (reap()) _exit(0);
    if (!fds[1].revents) continue;
    if (read(control, &word, 1) != 1 || word != 'g') _exit(1);
    fds[1].fd = -1;
  }
}

static _Noreturn void init(const struct plan *p) {
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigprocmask(SIG_SETMASK, &children, NULL);
  int signals = signalfd(-1, &children, SFD_CLOEXEC);
  if (signals < 0) fail("wait for signals");
  prctl(PR_SET_NAME, "cr-init");
  mount_proc();
  put("/proc/sys/kernel/ns_last_pid", p->last_pid); /* where it is missing, pids just start at 2 */
  pid_t child = fork();
  if (child < 0) fail("start a process");
  if (child == 0) run(p);
  close(report);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3; fd++) {
    if (null < 0 || dup2(null, fd) < 0) close(fd);
  }
  for (int fd = 3; fd < 1024; fd++) {
    if (fd != p->control && fd != signals) close(fd);
  }
  if (setsid() < 0 || chdir("/") < 0) _exit(1);
  serve(p->control, signals);
}

int main(int argc, char **argv) {
  if (argc < 7) return 2;
  report = number(argv[4]);
  struct plan plan = {strcmp(argv[1], "user") == 0, number(argv[3]), argv[2], argv[5], argv + 6};
  if (fcntl(plan.control, F_SETFD, FD_CLOEXEC) < 0) fail("read its arguments");
  if (strcmp(argv[1], "none") == 0) run(&plan);
  if (plan.user) enter_user_namespace();
  if (unshare(CLONE_NEWNS | CLONE_NEWPID) < 0) fail("make a pid namespace");
  pid_t pid = fork();
  if (pid < 0) fail("start a process");
  if (pid == 0) init(&plan);
  dprintf(report, "{\"init\":%d}\n", pid);
  return 0;
}
