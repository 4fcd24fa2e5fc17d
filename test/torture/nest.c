/*
 * nest: a process whose children check themselves. Starts targets (target.c), which print their pids and stay its
 * children because it is their subreaper; prints its own pid last and goes to the background.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void start(char *target, char *mode, char *control, char *watcher) {
  pid_t pid = fork();
  if (pid == 0) {
    execl(target, target, mode, control, watcher, (char *)NULL);
    _exit(127);
  }
  int status = -1;
  if (waitpid(pid, &status, 0) != pid || status != 0) {
    fprintf(stderr, "nest: %s %s: 0x%x\n", target, mode, status);
    _exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc < 5 || argc % 2 == 0) {
    fprintf(stderr, "usage: nest WATCHER TARGET (MODE CONTROL)...\n");
    return 2;
  }
  if (fork() != 0) return 0;
  setsid();
  close_range(3, ~0U, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  for (int i = 3; i + 1 < argc; i += 2) start(argv[2], argv[i], argv[i + 1], argv[1]);
  dprintf(1, "%d\n", getpid());
  int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd <= 2; fd++) dup2(null, fd);
  close(null);
  pid_t watcher = (pid_t)atoi(argv[1]);
  const struct timespec nap = {0, 20000000};
  while (kill(watcher, 0) == 0 || errno != ESRCH) {
    nanosleep(&nap, NULL);
    /* Nobody but the test ends a child, and it tells by /proc. */
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
  }
  return 0;
}
