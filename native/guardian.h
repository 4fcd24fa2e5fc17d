/* What helper processes of cr that outlive it have in common. */
#ifndef GUARDIAN_H
#define GUARDIAN_H

#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>

/* They hold one descriptor or more for each that is in their care. */
static inline void raise_files(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

/* From here on nothing but SIGKILL ends it, or another signal once `all` is unblocked again. */
static inline void block_signals(sigset_t *all) {
  sigfillset(all);
  sigprocmask(SIG_BLOCK, all, NULL);
}

#endif
