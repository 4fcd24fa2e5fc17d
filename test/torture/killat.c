/*
 * killat: runs a tool under ptrace, counts its system-call boundaries (before and after each call, over all its
 * threads in one sequence) and kills it with SIGKILL at a chosen one.
 *
 *   killat [--from exec|seize|borrow|path:PREFIX] [--kill-at K] [--trace FILE] -- COMMAND ARG...
 *
 * Boundary 0 is the entry of the first call that matters: any call (exec), ptrace(PTRACE_SEIZE or ATTACH) (seize),
 * ptrace(PTRACE_SETSIGMASK) (borrow), or one with a path beginning with PREFIX. Prints one JSON object when the tool is gone; what the tool itself
 * prints goes to standard error. Neither its tracees nor its children are followed: those may be tracees of its own.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"

enum { THREADS_MAX = 256, NOT_YET = -1 };

struct run {
  const char *from;
  long kill_at; /* NOT_YET: never */
  FILE *trace;
  pid_t child;
  long boundaries; /* NOT_YET until the start marker */
  long seized_at;  /* boundary at which the tool first took hold of its target */
  pid_t holder;    /* the thread that did */
  long held_calls; /* calls of that thread since then, but those that wait for a stop */
  long stop_calls; /* the same until it last let go of one */
  bool killed;
  int status; /* wait status of the child */
  char killed_in[64];
};

static struct call threads[THREADS_MAX];

static struct run run = {
    .from = "seize", .kill_at = NOT_YET, .boundaries = NOT_YET, .seized_at = NOT_YET, .status = -1};

static void die(const char *what) {
  fprintf(stderr, "killat: %s: %s\n", what, strerror(errno));
  exit(2);
}

/* The slot of a thread; a new one for a thread not seen before. */
static struct call *thread_slot(pid_t tid) {
  struct call *free_slot = NULL;
  for (int i = 0; i < THREADS_MAX; i++) {
    if (threads[i].tid == tid) return &threads[i];
    if (threads[i].tid == 0 && !free_slot) free_slot = &threads[i];
  }
  if (!free_slot) {
    errno = ENOSPC;
    die("follow threads");
  }
  free_slot->tid = tid;
  free_slot->nr = UINT64_MAX;
  return free_slot;
}

static bool takes_hold(const struct call *call) {
  return call->nr == SYS_ptrace && (call->args[0] == PTRACE_SEIZE || call->args[0] == PTRACE_ATTACH);
}

static bool is_marker(const struct call *call) {
  if (strcmp(run.from, "exec") == 0) return true;
  if (strcmp(run.from, "borrow") == 0) return call->nr == SYS_ptrace && call->args[0] == PTRACE_SETSIGMASK;
  if (strncmp(run.from, "path:", 5) == 0 && call_has_path(call, run.from + 5)) return true;
  return takes_hold(call);
}

static void kill_tool(const struct call *call, const char *side) {
  const char *name = call_name(call->nr);
  if (name) {
    snprintf(run.killed_in, sizeof run.killed_in, "%s of %s", side, name);
  } else {
    snprintf(run.killed_in, sizeof run.killed_in, "%s of call %ld", side, (long)call->nr);
  }
  run.killed = true;
  for (int i = 0; i < THREADS_MAX; i++) {
    if (threads[i].tid) kill(threads[i].tid, SIGKILL);
  }
}

/* One boundary: count it, log it, kill at it. True when the tool was killed and must not be resumed. */
/* How often a tool asks and yields until a stop comes is the machine's doing, not its own. */
static bool is_waiting(uint64_t nr) { return nr == SYS_wait4 || nr == SYS_sched_yield; }

static bool on_boundary(pid_t tid) {
  struct call *call = thread_slot(tid);
  struct __ptrace_syscall_info info;
  if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, &info) < 0) return false;
  bool entry = info.op == PTRACE_SYSCALL_INFO_ENTRY;
  if (entry) {
    call->nr = info.entry.nr;
    memcpy(call->args, info.entry.args, sizeof call->args);
    call_describe(call);
    if (run.boundaries == NOT_YET && is_marker(call)) run.boundaries = 0;
  }
  if (run.boundaries == NOT_YET) return false;
  long number = run.boundaries++;
  if (entry && run.seized_at == NOT_YET && takes_hold(call)) {
    run.seized_at = number;
    run.holder = tid;
  }
  if (entry && tid == run.holder && !is_waiting(call->nr)) run.held_calls++;
  if (entry && call->nr == SYS_ptrace && call->args[0] == PTRACE_DETACH) run.stop_calls = run.held_calls;
  bool last = entry && call->nr == SYS_exit_group;
  if (run.trace && call->nr != UINT64_MAX && (!entry || last)) {
    call_log(run.trace, call, !last, last ? 0 : info.exit.rval);
  }
  if (number != run.kill_at) return false;
  kill_tool(call, entry ? "entry" : "exit");
  return true;
}

static void on_stop(pid_t tid, int status) {
  int signal = WSTOPSIG(status);
  int event = status >> 16;
  int request = PTRACE_SYSCALL;
  thread_slot(tid);
  if (run.killed) {
    kill(tid, SIGKILL); /* a thread born while the others were being killed */
    return;
  }
  if (signal == (SIGTRAP | 0x80)) {
    if (on_boundary(tid)) return;
    signal = 0;
  } else if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
    request = PTRACE_LISTEN; /* group-stop of the tool: let it be stopped */
    signal = 0;
  } else if (event) {
    signal = 0;
  }
  if (ptrace(request, tid, 0, signal) < 0 && errno != ESRCH) die("resume the tool");
}

static void follow(void) {
  for (;;) {
    int status;
    pid_t tid = waitpid(-1, &status, __WALL);
    if (tid < 0 && errno == EINTR) continue;
    if (tid < 0) return;
    if (WIFSTOPPED(status)) {
      on_stop(tid, status);
      continue;
    }
    thread_slot(tid)->tid = 0;
    if (tid == run.child) run.status = status;
  }
}

/* Forks the tool and holds it at its exec until it is traced; a driver that dies takes the tool with it. */
static void launch(char **command) {
  int gate[2];
  char go = 0;
  if (pipe(gate) < 0) die("make a pipe");
  run.child = fork();
  if (run.child < 0) die("fork");
  if (run.child == 0) {
    close(gate[1]);
    if (read(gate[0], &go, 1) != 1) _exit(126);
    close(gate[0]);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    execvp(command[0], command);
    fprintf(stderr, "killat: run %s: %s\n", command[0], strerror(errno));
    _exit(127);
  }
  long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  if (ptrace(PTRACE_SEIZE, run.child, 0, options) < 0) die("trace the tool");
  if (ptrace(PTRACE_INTERRUPT, run.child, 0, 0) < 0) die("trace the tool");
  close(gate[0]);
  if (write(gate[1], &go, 1) != 1) die("start the tool");
  close(gate[1]);
}

static char **parse(int argc, char **argv) {
  int i = 1;
  for (; i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2) {
    if (strcmp(argv[i], "--from") == 0) {
      run.from = argv[i + 1];
    } else if (strcmp(argv[i], "--kill-at") == 0) {
      run.kill_at = atol(argv[i + 1]);
    } else if (strcmp(argv[i], "--trace") == 0) {
      run.trace = fopen(argv[i + 1], "we");
      if (!run.trace) die(argv[i + 1]);
    } else {
      break;
    }
  }
  if (i + 1 >= argc || strcmp(argv[i], "--") != 0) {
    fprintf(stderr, "usage: killat [--from exec|seize|borrow|path:PREFIX] [--kill-at K] [--trace FILE] -- COMMAND...\n");
    exit(2);
  }
  return argv + i + 1;
}

int main(int argc, char **argv) {
  char **command = parse(argc, argv);
  launch(command);
  follow();
  if (run.trace) fclose(run.trace);
  printf("{\"boundaries\":%ld,\"seizedAt\":%ld,\"stopCalls\":%ld,\"killed\":%s,\"killedIn\":\"%s\",\"exitStatus\":%d,\"signal\":%d}\n",
         run.boundaries < 0 ? 0 : run.boundaries, run.seized_at, run.stop_calls, run.killed ? "true" : "false", run.killed_in,
         WIFEXITED(run.status) ? WEXITSTATUS(run.status) : -1, WIFSIGNALED(run.status) ? WTERMSIG(run.status) : 0);
  return 0;
}
