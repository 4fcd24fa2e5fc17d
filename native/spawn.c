/*
 * Starts the process that becomes the restored one: the asked pid (clone3 set_tid), only the descriptors it is
 * to inherit, an empty environment, traced from its first instruction, dead if we die. With clocks it lives in a time
 * namespace of its own (time_namespaces(7)): a helper unshares one, sets it, makes our child in it and ends.
 * Likewise a server of ours that is nobody's child, by vfork(2): our page tables are not copied for it.
 */
#include "cr.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

struct start {
  const char *exe;
  int32_t flags, personality, fd_count, fd_base, report;
  const int32_t *fds;
};

/* struct clone_args up to set_tid_size (Linux 5.5); older headers lack the last two. */
struct clone3_args {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size;
};

/* The descriptors to inherit end up at fd_base, fd_base + 1, …; 0 to 2 stay, all others close. */
static int place_descriptors(const struct start *s, int *report) {
  struct rlimit limit;
  int32_t end = s->fd_base + s->fd_count, above = end > *report ? end : *report + 1;
  for (int32_t i = 0; i < s->fd_count; i++) {
    if (s->fds[i] >= above) above = s->fds[i] + 1;
  }
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -1;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return -1;
  /* First above all of them and the range they go to, so that none is overwritten, then into it. */
  int32_t moved = above + s->fd_count;
  if (dup3(*report, moved, O_CLOEXEC) < 0) return -1;
  *report = moved;
  for (int32_t i = 0; i < s->fd_count; i++) {
    if (dup2(s->fds[i], above + i) < 0) return -1;
  }
  for (int32_t i = 0; i < s->fd_count; i++) {
    if (dup2(above + i, s->fd_base + i) < 0) return -1;
  }
  if (s->fd_base > 3 && syscall(SYS_close_range, 3, s->fd_base - 1, 0) < 0) return -1;
  if (moved > end && syscall(SYS_close_range, end, moved - 1, 0) < 0) return -1;
  return syscall(SYS_close_range, moved + 1, ~0u, 0) < 0 ? -1 : 0;
}

static void default_signals(void) {
  sigset_t none;
  struct sigaction sa = {.sa_handler = SIG_DFL};
  for (int s = 1; s <= 64; s++) sigaction(s, &sa, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child: only calls that are safe after a fork of a threaded process. */
static _Noreturn void child(struct start s, pid_t parent) {
  char *const argv[] = {(char *)s.exe, NULL}, *const envp[] = {NULL};
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  default_signals();
  int failed = (s.flags & CR_SPAWN_SETSID) && setsid() < 0;
  if (s.flags & CR_SPAWN_SETPGID) failed |= setpgid(0, 0) < 0;
  failed |= place_descriptors(&s, &s.report) < 0;
  failed |= personality((unsigned long)(uint32_t)s.personality) < 0;
  if (!failed && ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0) execve(s.exe, argv, envp);
  int err = errno;
  if (write(s.report, &err, sizeof err) < 0) _exit(126);
  _exit(127);
}

/* Waits for the stop at exec; on failure the child is gone and its errno is the result. */
static int64_t await_exec(pid_t pid, int report) {
  int err = 0, status = 0;
  ssize_t n = read(report, &err, sizeof err);
  if (n == (ssize_t)sizeof err) {
    waitpid(pid, &status, __WALL);
    return err > 0 ? -err : -EIO;
  }
  if (cr_wait_stop(pid, &status) < 0 || !WIFSTOPPED(status)) return -ECHILD;
  /* Our own child, never a target; the processes that it makes are traced from birth, too, and past their exec. */
  long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXEC;
  /* With CAP_SYS_ADMIN also those filters sleep that it is given before we let it go. */
  if (ptrace(PTRACE_SETOPTIONS, pid, NULL, options | PTRACE_O_SUSPEND_SECCOMP) == 0) return pid;
  if (ptrace(PTRACE_SETOPTIONS, pid, NULL, options) < 0) {
    int64_t result = -errno;
    kill(pid, SIGKILL);
    waitpid(pid, &status, __WALL);
    return result;
  }
  return pid;
}

/* In the helper: makes the child of our parent in a new time namespace; tells its pid or -errno, and ends. */
static _Noreturn void helper(const char *clocks, struct clone3_args args, struct start s, int tell) {
  pid_t parent = getppid();
  size_t len = strlen(clocks);
  long pid = unshare(CLONE_NEWTIME);
  int fd = pid == 0 ? open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC) : -1;
  if (pid == 0) pid = fd < 0 || write(fd, clocks, len) != (ssize_t)len ? -1 : 0;
  if (fd >= 0) close(fd);
  if (pid == 0) {
    args.flags = CLONE_PARENT;
    args.exit_signal = 0; /* that of the helper */
    pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) child(s, parent);
  }
  int32_t result = pid < 0 ? -errno : (int32_t)pid;
  if (write(tell, &result, sizeof result) < 0) _exit(126);
  _exit(0);
}

/* The pid of a child in a new time namespace. The helper may have got the very pid that is wanted: then once more. */
static long clone_with_clocks(const char *clocks, struct clone3_args args, struct start s) {
  int32_t result = -EIO;
  for (int attempt = 0; attempt < 2; attempt++) {
    int tell[2], status;
    if (pipe2(tell, O_CLOEXEC) < 0) return -errno;
    pid_t pid = fork();
    if (pid == 0) helper(clocks, args, s, tell[1]);
    if (pid < 0) result = -errno;
    close(tell[1]);
    if (pid > 0 && read(tell[0], &result, sizeof result) != (ssize_t)sizeof result) result = -EIO;
    close(tell[0]);
    if (pid > 0) waitpid(pid, &status, 0);
    if (result != -EEXIST || pid != *(pid_t *)(uintptr_t)args.set_tid) break;
  }
  return result;
}

/* In the server to be, which has our memory until it execs, but its own descriptors and signal handlers. */
static _Noreturn void become_server(const char *exe, const char *arg, const int32_t *fds, int32_t count) {
  char *const argv[] = {(char *)exe, (char *)arg, NULL};
  int32_t above = count > 2 ? count : 3;
  int moved[CR_SPAWN_SERVER_FDS];
  default_signals();
  setsid();
  for (int32_t i = 0; i < count; i++) {
    moved[i] = fds[i] < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : fds[i];
    moved[i] = fcntl(moved[i], F_DUPFD_CLOEXEC, above);
    if (moved[i] < 0) _exit(127);
  }
  for (int32_t i = 0; i < count; i++) {
    if (dup2(moved[i], i) < 0) _exit(127);
  }
  if (chdir("/") == 0) execve(exe, argv, environ);
  _exit(127);
}

/* By way of a process that ends at once, so that it is left to whoever cares for orphans. That it could not start is not
 * told here. */
static int64_t spawn_server(const char *exe, const char *arg, const int32_t *fds, int32_t count) {
  int status = 0;
  pid_t between = vfork();
  if (between == 0) {
    pid_t pid = vfork();
    if (pid == 0) become_server(exe, arg, fds, count);
    _exit(pid < 0);
  }
  if (between < 0) return -errno;
  while (waitpid(between, &status, 0) < 0) {
    if (errno != EINTR) return -errno;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EAGAIN;
}

CR_API int64_t cr_spawn(const char *exe, int32_t want_pid, int32_t flags, int32_t personality, uint8_t *fds,
                        int32_t fd_count, int32_t fd_base, const char *clocks) {
  int report[2];
  pid_t set_tid = want_pid, parent = getpid();
  struct clone3_args args = {.exit_signal = SIGCHLD,
                             .set_tid = want_pid ? (uintptr_t)&set_tid : 0,
                             .set_tid_size = want_pid ? 1 : 0};
  if (fd_count < 0 || fd_base < 3) return -EINVAL;
  if (flags & CR_SPAWN_SERVER) {
    if (fd_count < 1 || fd_count > CR_SPAWN_SERVER_FDS) return -EINVAL;
    sigset_t every, before;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    int64_t done = spawn_server(exe, clocks, (const int32_t *)fds, fd_count);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return done;
  }
  if (pipe2(report, O_CLOEXEC) < 0) return -errno;
  struct start start = {exe, flags, personality, fd_count, fd_base, report[1], (const int32_t *)fds};
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old); /* no handler of ours may run in the child */
  long pid = *clocks ? clone_with_clocks(clocks, args, start) : syscall(SYS_clone3, &args, sizeof args);
  if (pid == 0) child(start, parent);
  int64_t result = pid >= 0 ? 0 : *clocks ? pid : -errno;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  close(report[1]);
  if (result == 0) result = await_exec((pid_t)pid, report[0]);
  close(report[0]);
  return result;
}

/* For the parent of a restored program; may run on any thread, since nothing is traced any more. */
CR_API int64_t cr_wait_child(int32_t pid) {
  int status = 0;
  while (waitpid(pid, &status, WUNTRACED | WCONTINUED) < 0) {
    if (errno != EINTR) return -errno;
  }
  return status;
}
