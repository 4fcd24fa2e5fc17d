/*
 * Bulk work in a few threads. Work that goes on beside a running program is done by threads that let others come first;
 * the caller's own cannot be one of them, since only root makes a thread quick again.
 */
#include "cr.h"

#include <pthread.h>
#include <unistd.h>

#define THREADS_MAX 64

struct yielding {
  void *(*work)(void *);
  void *arg;
};

static void *work_yielding(void *arg) {
  const struct yielding *yielding = arg;
  (void)!nice(CR_NICE); /* of this thread alone */
  return yielding->work(yielding->arg);
}

void cr_in_threads(void *(*work)(void *), void *arg, int32_t threads, int gently) {
  pthread_t others[THREADS_MAX];
  struct yielding yielding = {work, arg};
  int32_t started = 0, wanted = gently ? threads : threads - 1;
  if (wanted > THREADS_MAX) wanted = THREADS_MAX;
  while (started < wanted && pthread_create(&others[started], NULL, gently ? work_yielding : work,
                                            gently ? (void *)&yielding : arg) == 0)
    started++;
  if (!gently || started == 0) work(arg);
  for (int32_t i = 0; i < started; i++) pthread_join(others[i], NULL);
}
