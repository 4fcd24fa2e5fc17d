/*
 * What the kernel keeps for this process, as text: one line a fact, so that two moments compare line by line and the
 * first that differs is its own message. Uses no heap and leaves no descriptor open.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target.h"

enum { FILE_BYTES = 1 << 17, LINE_BYTES = 1024, SIGNALS = 64, SIGSET_BYTES = 8 };

struct text {
  char *at;
  char *end;
};

/* struct sigaction as rt_sigaction(2) has it; libc's hides the restorer and some signals. */
struct kernel_sigaction {
  uint64_t handler, flags, restorer, mask;
};

static char file_bytes[FILE_BYTES];

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...) {
  va_list list;
  va_start(list, format);
  size_t room = (size_t)(text->end - text->at);
  int length = vsnprintf(text->at, room, format, list);
  va_end(list);
  if (length < 0 || (size_t)length >= room) complain("snapshot", "the text is too long");
  text->at += length;
}

/* Reads a /proc file whole into file_bytes, terminated. */
static void read_proc(const char *path) {
  size_t length = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) complain("open", path);
  for (;;) {
    ssize_t got = read(fd, file_bytes + length, FILE_BYTES - 1 - length);
    if (got < 0) complain("read", path);
    if (got == 0) break;
    length += (size_t)got;
  }
  if (length == FILE_BYTES - 1) complain("too long", path);
  file_bytes[length] = 0;
  close(fd);
}

/* Address ranges with permissions and names, and VmFlags; of stack and heap only the end that does not grow. */
static void add_mappings(struct text *text) {
  read_proc("/proc/self/smaps");
  for (char *line = strtok(file_bytes, "\n"); line; line = strtok(NULL, "\n")) {
    unsigned long start, end;
    char rest[LINE_BYTES];
    if (strncmp(line, "VmFlags:", 8) == 0) {
      add(text, "%s\n", line);
    } else if (sscanf(line, "%lx-%lx %1023[^\n]", &start, &end, rest) == 3) {
      if (strstr(rest, "[stack]")) start = 0;
      if (strstr(rest, "[heap]")) end = 0;
      add(text, "map %lx-%lx %s\n", start, end, rest);
    }
  }
}

static void add_status(struct text *text) {
  static const char *const names[] = {"Name:", "Umask:", "Uid:", "Gid:", "Groups:", "Threads:", "SigPnd:", "ShdPnd:",
                                      "SigBlk:", "SigIgn:", "SigCgt:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:",
                                      "CapAmb:", "NoNewPrivs:", "Seccomp:", "Cpus_allowed:"};
  read_proc("/proc/self/status");
  for (char *line = strtok(file_bytes, "\n"); line; line = strtok(NULL, "\n")) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
      if (strncmp(line, names[i], strlen(names[i])) == 0) add(text, "status %s\n", line);
    }
  }
}

static void add_signals(struct text *text) {
  for (int signal = 1; signal <= SIGNALS; signal++) {
    struct kernel_sigaction action = {0};
    syscall(SYS_rt_sigaction, signal, NULL, &action, SIGSET_BYTES);
    if (!action.handler && !action.flags && !action.mask) continue;
    add(text, "signal %d handler %lx flags %lx mask %lx\n", signal, action.handler, action.flags, action.mask);
  }
  stack_t stack;
  sigaltstack(NULL, &stack);
  add(text, "sigaltstack %p %zu flags %d\n", stack.ss_sp, stack.ss_size, stack.ss_flags);
}

static void add_descriptor(struct text *text, int fd) {
  char path[64], link[LINE_BYTES];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(path, link, sizeof link - 1);
  link[length < 0 ? 0 : length] = 0;
  add(text, "fd %d %s flags %d %o offset %ld\n", fd, link, fcntl(fd, F_GETFD), fcntl(fd, F_GETFL),
      (long)lseek(fd, 0, SEEK_CUR));
}

static void add_descriptors(struct text *text) {
  struct entry {
    uint64_t ino;
    int64_t off;
    unsigned short length;
    unsigned char type;
    char name[];
  };
  static _Alignas(8) char entries[16384];
  int folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  long got;
  while ((got = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0) {
    for (long at = 0; at < got;) {
      struct entry *entry = (struct entry *)(entries + at);
      at += entry->length;
      if (entry->name[0] == '.' || atoi(entry->name) == folder) continue;
      add_descriptor(text, atoi(entry->name));
    }
  }
  close(folder);
}

static void add_odds_and_ends(struct text *text) {
  uint64_t fs = 0, gs = 0, head = 0, head_bytes = 0;
  int death_signal = 0, subreaper = 0, status = 0;
  syscall(SYS_arch_prctl, ARCH_GET_FS, &fs);
  syscall(SYS_arch_prctl, ARCH_GET_GS, &gs);
  syscall(SYS_get_robust_list, 0, &head, &head_bytes);
  prctl(PR_GET_PDEATHSIG, &death_signal);
  prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
  add(text, "fs base %lx gs base %lx\n", fs, gs);
  add(text, "robust list %lx %lu\n", head, head_bytes);
  add(text, "pdeathsig %d subreaper %d dumpable %d\n", death_signal, subreaper, prctl(PR_GET_DUMPABLE));
  add(text, "brk %lx\n", (unsigned long)syscall(SYS_brk, 0));
  add(text, "pid %ld ppid group %ld session %ld\n", syscall(SYS_getpid), (long)getpgid(0), (long)getsid(0));
  add(text, "children %ld\n", (long)waitpid(-1, &status, WNOHANG | __WALL));
}

void snapshot_take(char buffer[SNAPSHOT_BYTES]) {
  struct text text = {buffer, buffer + SNAPSHOT_BYTES};
  add_mappings(&text);
  add_status(&text);
  add_signals(&text);
  add_descriptors(&text);
  add_odds_and_ends(&text);
}

void snapshot_compare(const char *before, const char *now) {
  while (*before || *now) {
    size_t old_length = strcspn(before, "\n"), new_length = strcspn(now, "\n");
    if (old_length != new_length || memcmp(before, now, old_length) != 0) {
      char detail[COMPLAINT_BYTES];
      snprintf(detail, sizeof detail, "was [%.*s], is [%.*s]", (int)old_length, before, (int)new_length, now);
      complain("kernel state", detail);
    }
    before += old_length + (before[old_length] == '\n');
    now += new_length + (now[new_length] == '\n');
  }
}

uint64_t snapshot_code_sum(const char *snapshot) {
  uint64_t sum = 0;
  for (const char *line = snapshot; line && *line; line = strchr(line, '\n')) {
    unsigned long start, end;
    char permissions[5], name[LINE_BYTES];
    if (*line == '\n') line++;
    if (sscanf(line, "map %lx-%lx %4s %*s %*s %*s %1023[^\n]", &start, &end, permissions, name) != 4) continue;
    if (permissions[0] != 'r' || permissions[1] == 'w') continue;
    if (name[0] != '/' && strcmp(name, "[vdso]") != 0) continue;
    for (const uint64_t *word = (const uint64_t *)start; word < (const uint64_t *)end; word++) {
      sum = sum * 31 + *word;
    }
  }
  return sum;
}
