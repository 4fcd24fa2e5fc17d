/*
 * heap CONTROL MIB DIRTY_MIB_PER_S WATCHER [THREADS]: starts THREADS - 1 threads that wait, fills MIB mebibytes with bytes that do not compress, then looks at the
 * clock in a tight loop, writing to pages at the given rate. The longest time between two looks is how long the program
 * stood still, as it saw it itself; it stands in the CONTROL file, mapped shared, where it can also be set back to
 * zero without a signal. Ends with the process WATCHER. Its parent waits for it, so that its pid is free at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, CONTROL_BYTES = PAGE, PAGES_A_LOOK = 16, LOOKS_A_WATCH = 1 << 20 };

/* Read and written by heap.mjs: 64-bit words in this order. */
struct control {
  volatile uint64_t pid; /* set when the heap is filled */
  volatile uint64_t looks;
  volatile uint64_t resets_wanted;
  volatile uint64_t resets_done;
  volatile uint64_t longest_gap_ns;
  volatile uint64_t longest_gap_end_ns; /* CLOCK_MONOTONIC at the first look after it */
};

static uint64_t clock_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t next_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static uint64_t *fill(size_t bytes, uint64_t *random) {
  if (bytes == 0) return NULL;
  uint64_t *heap = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (heap == MAP_FAILED) {
    perror("heap: mmap");
    _exit(1);
  }
  for (size_t i = 0; i < bytes / sizeof *heap; i++) heap[i] = next_random(random);
  return heap;
}

/* Writes to random pages until as many are written as the rate asks for; what a pause left out is not made up. */
static uint64_t dirty(uint64_t *heap, size_t pages, uint64_t due, uint64_t *random) {
  uint64_t now = due < PAGES_A_LOOK ? due : PAGES_A_LOOK;
  for (uint64_t i = 0; i < now; i++) {
    uint64_t value = next_random(random);
    heap[value % pages * (PAGE / sizeof *heap)] = value;
  }
  return now;
}

static void *wait_for_ever(void *lock) {
  pthread_mutex_lock(lock);
  return NULL;
}

/* Threads that wait for a lock nobody lets go. */
static void start_threads(long count) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_t id;
  pthread_mutex_lock(&lock);
  for (long i = 1; i < count; i++) {
    if (pthread_create(&id, NULL, wait_for_ever, &lock) != 0) _exit(1);
  }
}

static _Noreturn void live(struct control *control, size_t mib, uint64_t mib_per_s, pid_t watcher) {
  uint64_t random = 0x9e3779b97f4a7c15ULL, longest = 0, written = 0;
  size_t bytes = mib << 20;
  uint64_t *heap = fill(bytes, &random);
  uint64_t pages_per_s = heap ? (mib_per_s << 20) / PAGE : 0;
  uint64_t last = clock_ns(), epoch = last;
  control->pid = (uint64_t)getpid();
  for (uint64_t looks = 1;; looks++) {
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
    if (gap > 1000000) epoch += gap;
    uint64_t due = (now - epoch) / 1000 * pages_per_s / 1000000;
    if (due > written) written += dirty(heap, bytes / PAGE, due - written, &random);
    control->looks = looks;
    if (looks % LOOKS_A_WATCH == 0 && kill(watcher, 0) < 0 && errno == ESRCH) _exit(0);
  }
}

int main(int argc, char **argv) {
  if (argc != 5 && argc != 6) {
    fprintf(stderr, "usage: heap CONTROL MIB DIRTY_MIB_PER_S WATCHER [THREADS]\n");
    return 2;
  }
  int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, CONTROL_BYTES) < 0) {
    perror(argv[1]);
    return 1;
  }
  struct control *control = mmap(NULL, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (control == MAP_FAILED) return 1;
  pid_t pid = fork();
  if (pid < 0) return 1;
  if (pid == 0) {
    setsid();
    close_range(0, ~0U, 0);
    for (int stdio = 0; stdio < 3; stdio++) open("/dev/null", O_RDWR);
    start_threads(argc == 6 ? strtol(argv[5], NULL, 10) : 1);
    live(control, strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10), (pid_t)atoi(argv[4]));
  }
  munmap(control, CONTROL_BYTES); /* the file is the program's alone, or a restore would refuse to roll it back */
  waitpid(pid, NULL, 0);
  return 0;
}
