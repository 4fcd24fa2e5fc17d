/*
 * Threads beside the main one for the target that has several: each sleeps, computes, and looks at what is its own.
 * None of them may be left standing, so the main thread waits in every round until all have moved on.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "target.h"

enum { THREADS = 6, ALTERNATE_BYTES = 16384, SIGSET_BYTES = 8, NAP_MS = 5, STEPS = 200000 };

static uint64_t rounds[THREADS], seen[THREADS];
static char alternate[THREADS][ALTERNATE_BYTES];

/* What waits for the process stays blocked in every thread, see set_signals. */
static uint64_t mask_of(uintptr_t number) { return 1ULL << (50 + number) | 1ULL << (40 - 1) | 1ULL << (SIGUSR2 - 1); }

static void check_kernel_state(uintptr_t number) {
  uint64_t mask = 0;
  stack_t stack;
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, SIGSET_BYTES);
  if (mask != mask_of(number)) complain("thread", "its signal mask differs");
  sigaltstack(NULL, &stack);
  if (stack.ss_sp != alternate[number] || stack.ss_size != ALTERNATE_BYTES || stack.ss_flags != 0)
    complain("thread", "its alternate stack differs");
}

static void nap(void) {
  struct timespec wanted = {.tv_nsec = NAP_MS * 1000000L}, before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  if (nanosleep(&wanted, NULL) != 0) complain("thread: nanosleep", strerror(errno));
  clock_gettime(CLOCK_MONOTONIC, &after);
  int64_t slept = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
  if (slept < NAP_MS * 1000000L) complain("thread: nanosleep", "returned too early");
}

/* Values that live in registers: integers, and doubles whose product comes out the same every time. */
static void compute(uintptr_t number) {
  uint64_t a = number, b = 1;
  double x = 1, y = (double)number + 3;
  for (int i = 0; i < STEPS; i++) {
    a = a * 6364136223846793005ULL + b;
    x = x * y / y;
    __asm__ volatile("" : "+r"(a), "+r"(b), "+x"(x), "+x"(y));
  }
  uint64_t wanted = number;
  for (int i = 0; i < STEPS; i++) wanted = wanted * 6364136223846793005ULL + 1;
  if (a != wanted || x != 1 || y != (double)number + 3) complain("thread", "its registers differ");
}

static _Noreturn void live(uintptr_t number) {
  stack_t stack = {.ss_sp = alternate[number], .ss_size = ALTERNATE_BYTES};
  uint64_t mask = mask_of(number);
  sigaltstack(&stack, NULL);
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, SIGSET_BYTES);
  for (;;) {
    if (number % 2) nap();
    compute(number);
    check_kernel_state(number);
    __atomic_add_fetch(&rounds[number], 1, __ATOMIC_SEQ_CST);
  }
}

static void *begin(void *number) { live((uintptr_t)number); }

void threads_start(void) {
  pthread_t id;
  for (uintptr_t i = 0; i < THREADS; i++) {
    if (pthread_create(&id, NULL, begin, (void *)i) != 0) complain("thread", "pthread_create failed");
  }
  threads_check();
}

void threads_check(void) {
  for (int i = 0; i < THREADS; i++) {
    uint64_t now;
    while ((now = __atomic_load_n(&rounds[i], __ATOMIC_SEQ_CST)) == seen[i]) usleep(1000);
    seen[i] = now;
  }
}
