/*
 * target MODE CONTROL WATCHER: goes to the background, prints its pid, and from then on checks itself round after
 * round; a round that finds everything as it was adds one to the heartbeat in the CONTROL file. MODE is `compute`
 * (registers live nearly all the time, hardly a system call) or `sleep` (nearly always inside nanosleep). Ends when
 * something differs (status 3, complaint in CONTROL) or when the process WATCHER is gone.
 */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#ifdef WITH_TCP
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
  ARENA_WORDS = 1 << 15,
  STACK_WORDS = 512,
  PAGE = 4096,
  SIGSET_BYTES = 8,
  SLEEP_MS = 80,
  COMPUTE_LOOPS = 50000000,
};
static struct control *control;
static volatile sig_atomic_t unexpected;
static char before[SNAPSHOT_BYTES], now[SNAPSHOT_BYTES];
static uint64_t gs_target[2];

_Noreturn void complain(const char *what, const char *detail) {
  if (control) snprintf(control->complaint, COMPLAINT_BYTES, "%s: %s", what, detail);
  _exit(3);
}

static uint64_t clock_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t word_at(size_t index) { return (index + 1) * 0x9e3779b97f4a7c15ULL; }

#ifndef NO_HANDLERS
static char alternate[65536];

/* With a connection in repair mode an orphan is held by SIGSTOP until it works again, and let go by SIGCONT. */
static void on_signal(int signal) {
#ifdef WITH_TCP
  if (signal == SIGCONT) return;
#endif
  unexpected = signal;
}

/* None of these is ever sent by a well-behaved tool. */
static void set_handlers(void) {
  static const int signals[] = {SIGUSR1, SIGTRAP, SIGCONT, SIGALRM, SIGCHLD, SIGURG, SIGIO, SIGWINCH};
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
  sigaddset(&action.sa_mask, SIGTERM);
  sigaltstack(&stack, NULL);
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
}
#else
static void set_handlers(void) {}
#endif

/* Blocked, pending and ignored signals, by the bare system calls: libc's wrappers would link handler code in. */
static void set_signals(void) {
  uint64_t ignore[4] = {1, 0, 0, 0};
  uint64_t blocked = 1ULL << (SIGUSR2 - 1) | 1ULL << (40 - 1);
  siginfo_t info = {.si_signo = 40, .si_code = SI_QUEUE};
  info.si_value.sival_ptr = &info;
  set_handlers();
  syscall(SYS_rt_sigaction, SIGHUP, ignore, NULL, SIGSET_BYTES);
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, SIGSET_BYTES);
  syscall(SYS_kill, getpid(), SIGUSR2);
  syscall(SYS_rt_sigqueueinfo, getpid(), 40, &info);
}

static uint64_t *set_memory(void) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
  uint64_t *arena = mmap(NULL, ARENA_WORDS * sizeof *arena, PROT_READ | PROT_WRITE, flags, -1, 0);
  char *reserve = mmap(NULL, 64 * PAGE, PROT_NONE, flags | MAP_NORESERVE, -1, 0);
  if (arena == MAP_FAILED || reserve == MAP_FAILED) complain("mmap", strerror(errno));
  for (size_t i = 0; i < ARENA_WORDS; i++) arena[i] = word_at(i);
  mprotect(arena, 4 * PAGE, PROT_READ);
  mprotect(reserve + 8 * PAGE, PAGE, PROT_READ | PROT_WRITE);
  return arena;
}

static void set_descriptors(void) {
  syscall(SYS_close_range, 0, ~0U, 0);
  for (int fd = 0; fd < 3; fd++) open("/dev/null", O_RDWR);
  int file = open("/proc/self/exe", O_RDONLY);
  lseek(file, 123, SEEK_SET);
  fcntl(file, F_DUPFD_CLOEXEC, 20);
}

#ifdef WITH_TCP
/* A connection of the target with itself, with more on its way than its reader has room for. */
static int writer, reader;
static uint64_t written, taken;

static void set_connection(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int door = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(door, (struct sockaddr *)&address, length) < 0 || listen(door, 1) < 0) complain("listen", strerror(errno));
  getsockname(door, (struct sockaddr *)&address, &length);
  writer = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(writer, (struct sockaddr *)&address, length) < 0) complain("connect", strerror(errno));
  reader = accept(door, NULL, NULL);
  close(door);
}

/* A write in repair mode fails with EINVAL. */
static void check_connection(void) {
  static unsigned char bytes[65536];
  for (;;) {
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)((written + i) % 251);
    ssize_t sent = send(writer, bytes, sizeof bytes, MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN) break;
    if (sent <= 0) complain("write to a connection", strerror(errno));
    written += (uint64_t)sent;
  }
  ssize_t got = recv(reader, bytes, 1000, MSG_DONTWAIT);
  if (got < 0) complain("read from a connection", strerror(errno));
  for (ssize_t i = 0; i < got; i++)
    if (bytes[i] != (unsigned char)((taken + (uint64_t)i) % 251)) complain("connection", "a byte differs");
  taken += (uint64_t)got;
}
#endif

static void sleep_once(void) {
  struct timespec wanted = {.tv_nsec = SLEEP_MS * 1000000L}, left = {0};
  uint64_t start = clock_ns();
  long result = syscall(SYS_nanosleep, &wanted, &left);
  if (result != 0) complain("nanosleep", strerror(errno));
  if (clock_ns() - start < SLEEP_MS * 1000000ULL) complain("nanosleep", "returned too early");
}

static void check_memory(const uint64_t *arena, const uint64_t *stack) {
  for (size_t i = 0; i < ARENA_WORDS; i++) {
    if (arena[i] != word_at(i)) complain("memory", "a word of the arena differs");
  }
  for (size_t i = 0; i < STACK_WORDS; i++) {
    if (stack[i] != word_at(i)) complain("memory", "a word of the stack differs");
  }
}

static int same_threads(void) {
  static const char key[] = "status Threads:";
  const char *one = strstr(before, key), *other = strstr(now, key);
  size_t length = one ? strcspn(one, "\n") + 1 : 0;
  return one && other && strncmp(one, other, length) == 0;
}

/* A thread of a tool that was killed may be on its way out: while there is one more than before, this looks again. */
static void take_settled(void) {
  const struct timespec nap = {0, 20000000};
  snapshot_take(now);
  for (int looks = 0; looks < 250 && !same_threads(); looks++) {
    nanosleep(&nap, NULL);
    snapshot_take(now);
  }
}

/* Not while a tool is at work: it may refuse a program that has files of /proc open, and rightly so. */
static void check_snapshot(void) {
  __atomic_store_n(&control->in_snapshot, 1, __ATOMIC_SEQ_CST);
  if (!__atomic_load_n(&control->hold, __ATOMIC_SEQ_CST)) {
    take_settled();
    snapshot_compare(before, now);
  }
  __atomic_store_n(&control->in_snapshot, 0, __ATOMIC_SEQ_CST);
}

/* The background program: set everything up, say ready, check for ever. */
static _Noreturn void live(int sleeping, pid_t watcher) {
  volatile uint64_t stack[STACK_WORDS];
  for (size_t i = 0; i < STACK_WORDS; i++) stack[i] = word_at(i);
  setsid();
  set_descriptors();
  uint64_t *arena = set_memory();
  set_signals();
  syscall(SYS_arch_prctl, ARCH_SET_GS, gs_target);
  registers_prepare();
#ifdef WITH_THREADS
  threads_start();
#endif
#ifdef WITH_TCP
  set_connection(), queue_start();
  check_connection();
#endif
  snapshot_take(now); /* faults in its own pages, so that the baseline has them */
  snapshot_take(before);
  uint64_t code = snapshot_code_sum(before), last = clock_ns();
  control->pid = (uint64_t)getpid();
  while (syscall(SYS_kill, watcher, 0) == 0 || errno != ESRCH) {
    if (sleeping) sleep_once();
    registers_check(sleeping ? 1000 : COMPUTE_LOOPS);
    check_memory(arena, (const uint64_t *)stack);
#ifdef WITH_THREADS
    threads_check();
#endif
#ifdef WITH_TCP
    check_connection(), queue_check();
#endif
    check_snapshot();
    if (snapshot_code_sum(before) != code) complain("code", "bytes of code or constants differ");
    uint64_t time = clock_ns();
    if (time < last) complain("clock", "CLOCK_MONOTONIC went back");
    last = time;
    if (unexpected) complain("signal", "an unexpected one was delivered");
    control->heartbeat++;
  }
  _exit(0);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: target compute|sleep CONTROL WATCHER\n");
    return 2;
  }
  int fd = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || ftruncate(fd, PAGE) < 0) {
    perror(argv[2]);
    return 1;
  }
  control = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (control == MAP_FAILED) return 1;
  pid_t pid = fork();
  if (pid == 0) live(strcmp(argv[1], "sleep") == 0, (pid_t)atoi(argv[3]));
  while (pid > 0 && !control->pid && !control->complaint[0]) usleep(1000);
  if (pid < 0 || control->complaint[0]) {
    fprintf(stderr, "target: %s\n", pid < 0 ? "cannot fork" : control->complaint);
    return 1;
  }
  printf("%d\n", pid);
  return 0;
}
