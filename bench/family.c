/*
 * family CONTROL COUNT MIB WATCHER: a process and COUNT - 1 children of it, each with MIB mebibytes of bytes that do not
 * compress. Each sleeps for half a millisecond at a time and keeps the longest time between two looks at the clock in
 * CONTROL.N, as heap.c does in its file: COUNT programs that never slept would mostly wait for one another. All end with
 * the process WATCHER.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CONTROL_BYTES = 4096, NAP_NS = 500000, LOOKS_A_WATCH = 256, COUNT_MAX = 1000 };

/* As in heap.c, read and written by heap.mjs. */
struct control {
  volatile uint64_t pid; /* set when the memory is filled */
  volatile uint64_t looks;
  volatile uint64_t resets_wanted;
  volatile uint64_t resets_done;
  volatile uint64_t longest_gap_ns;
  volatile uint64_t longest_gap_end_ns;
};

static uint64_t clock_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int fill(size_t bytes, uint64_t state) {
  uint64_t *words = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (words == MAP_FAILED) return -1;
  for (size_t i = 0; i < bytes / sizeof *words; i++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    words[i] = state;
  }
  return 0;
}

static struct control *open_control(const char *name, long number) {
  char path[4096];
  snprintf(path, sizeof path, "%s.%ld", name, number);
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, CONTROL_BYTES) < 0) return NULL;
  struct control *control = mmap(NULL, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return control == MAP_FAILED ? NULL : control;
}

static _Noreturn void live(struct control *control, pid_t watcher) {
  const struct timespec nap = {0, NAP_NS};
  uint64_t last = clock_ns(), longest = 0;
  control->pid = (uint64_t)getpid();
  for (uint64_t looks = 1;; looks++) {
    nanosleep(&nap, NULL);
    uint64_t now = clock_ns(), gap = now - last;
    last = now;
    if (control->resets_wanted != control->resets_done) {
      longest = control->longest_gap_ns = 0;
      control->resets_done = control->resets_wanted;
    } else if (gap > longest) {
      longest = gap;
      control->longest_gap_end_ns = now;
      control->longest_gap_ns = gap;
    }
    control->looks = looks;
    if (looks % LOOKS_A_WATCH == 0 && kill(watcher, 0) < 0 && errno == ESRCH) _exit(0);
  }
}

int main(int argc, char **argv) {
  const long count = argc == 5 ? strtol(argv[2], NULL, 10) : 0;
  if (count < 1 || count > COUNT_MAX) {
    fprintf(stderr, "usage: family CONTROL COUNT MIB WATCHER\n");
    return 2;
  }
  const size_t bytes = (size_t)strtoul(argv[3], NULL, 10) << 20;
  const pid_t watcher = (pid_t)strtol(argv[4], NULL, 10);
  pid_t root = fork();
  if (root < 0) return 1;
  if (root > 0) return waitpid(root, NULL, 0) < 0;
  setsid();
  close_range(0, ~0U, 0);
  for (int stdio = 0; stdio < 3; stdio++) open("/dev/null", O_RDWR);
  long number = 0;
  for (long i = 1; i < count && number == 0; i++) {
    if (fork() == 0) number = i;
  }
  struct control *control = open_control(argv[1], number);
  if (control == NULL || fill(bytes, 0x9e3779b97f4a7c15ULL + (uint64_t)number) < 0) return 1;
  live(control, watcher);
}
