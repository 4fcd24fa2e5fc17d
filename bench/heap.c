/*
 * heap CONTROL MIB DIRTY_MIB_PER_S WATCHER [THREADS [WORKING_MIB]]: starts THREADS - 1 threads that wait, fills MIB mebibytes
 * with bytes that do not compress, then looks at the clock in a tight loop, writing to random pages at the given rate, or with
 * WORKING_MIB all of these one after the other, every byte. The longest time between two looks is how long the program
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

enum { PAGE = 4096, WORDS = PAGE / sizeof(uint64_t), CONTROL_BYTES = PAGE, PAGES_A_LOOK = 16, LOOKS_A_WATCH = 1 << 20 };

/* Read and written by heap.mjs: 64-bit words in this order. */
struct control {
  volatile uint64_t pid; /* set when the heap is filled */
  volatile uint64_t looks;
  volatile uint64_t resets_wanted;
  volatile uint64_t resets_done;
  volatile uint64_t longest_gap_ns;
  volatile uint64_t longest_gap_end_ns; /* CLOCK_MONOTONIC at the first look after it */
  volatile uint64_t pages_written;
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

/* What it writes to: random pages of all, or with `working` the first so many in turn, whole. */
struct load {
  uint64_t *heap;
  size_t pages, working;
  uint64_t pages_per_s, written;
};

/* Writes to pages until as many are written as the rate asks for; what a pause left out is not made up. */
static void dirty(struct load *load, uint64_t due, uint64_t *random) {
  uint64_t now = due < PAGES_A_LOOK ? due : PAGES_A_LOOK;
  for (uint64_t i = 0; i < now; i++) {
    uint64_t value = next_random(random);
    uint64_t *page = load->heap + (load->working ? load->written % load->working : value % load->pages) * WORDS;
    for (size_t word = 0; word < (load->working ? WORDS : 1); word++) page[word] = value + word;
    load->written++;
  }
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

static struct load make_load(size_t mib, uint64_t mib_per_s, size_t working_mib, uint64_t *random) {
  uint64_t *heap = fill(mib << 20, random);
  return (struct load){.heap = heap,
                       .pages = (mib << 20) / PAGE,
                       .working = (working_mib << 20) / PAGE,
                       .pages_per_s = heap ? (mib_per_s << 20) / PAGE : 0};
}

static _Noreturn void live(struct control *control, struct load load, uint64_t random, pid_t watcher) {
  uint64_t longest = 0;
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
    uint64_t due = (now - epoch) / 1000 * load.pages_per_s / 1000000;
    if (due > load.written) dirty(&load, due - load.written, &random);
    control->pages_written = load.written;
    control->looks = looks;
    if (looks % LOOKS_A_WATCH == 0 && kill(watcher, 0) < 0 && errno == ESRCH) _exit(0);
  }
}

int main(int argc, char **argv) {
  if (argc < 5 || argc > 7) {
    fprintf(stderr, "usage: heap CONTROL MIB DIRTY_MIB_PER_S WATCHER [THREADS [WORKING_MIB]]\n");
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
    if (!getenv("LD_PRELOAD")) close_range(0, ~0U, 0); /* dmtcp_launch has descriptors of its own in it */
    for (int stdio = 0; stdio < 3; stdio++) open("/dev/null", O_RDWR);
    start_threads(argc > 5 ? strtol(argv[5], NULL, 10) : 1);
    uint64_t random = 0x9e3779b97f4a7c15ULL;
    size_t mib = strtoul(argv[2], NULL, 10), working = argc > 6 ? strtoul(argv[6], NULL, 10) : 0;
    struct load load = make_load(mib, strtoul(argv[3], NULL, 10), working < mib ? working : mib, &random);
    live(control, load, random, (pid_t)atoi(argv[4]));
  }
  munmap(control, CONTROL_BYTES); /* the file is the program's alone, or a restore would refuse to roll it back */
  waitpid(pid, NULL, 0);
  return 0;
}
