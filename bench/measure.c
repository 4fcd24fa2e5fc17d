/*
 * measure RESULT COMMAND ARG...: runs a command and writes wall time, processor time and peak memory, its waited-for
 * children included, as one JSON object into the file RESULT. Small, so that what a fork inherits does not count.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double clock_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static double time_ms(struct timeval time) { return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3; }

int main(int argc, char **argv) {
  int status;
  struct rusage usage;
  if (argc < 3) {
    fprintf(stderr, "usage: measure RESULT COMMAND ARG...\n");
    return 2;
  }
  double start = clock_ms();
  pid_t pid = fork();
  if (pid < 0) return 1;
  if (pid == 0) {
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    _exit(127);
  }
  if (wait4(pid, &status, 0, &usage) < 0) return 1;
  double wall = clock_ms() - start;
  FILE *result = fopen(argv[1], "we");
  if (!result) return 1;
  fprintf(result,
          "{\"startMs\":%.3f,\"wallMs\":%.3f,\"cpuMs\":%.3f,\"peakBytes\":%lld,\"exitStatus\":%d}\n", start, wall,
          time_ms(usage.ru_utime) + time_ms(usage.ru_stime), (long long)usage.ru_maxrss * 1024,
          WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  fclose(result);
  return 0;
}
