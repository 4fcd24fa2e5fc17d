/* Work that is begun here and goes on in a thread of its own, until the caller ends it and takes its result. */
#include "beside.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct beside {
  pthread_t thread;
  int is_thread, gently;
  int64_t (*work)(const void *args);
  int64_t result;
  uint64_t args[];
};

static void *go_on(void *arg) {
  struct beside *beside = arg;
  if (beside->gently) (void)!nice(CR_NICE); /* of this thread alone */
  beside->result = beside->work(beside->args);
  return NULL;
}

/* Where there can be no thread it is done at once. */
int64_t cr_begin(int64_t (*work)(const void *args), const void *args, size_t len, int gently) {
  struct beside *beside = calloc(1, sizeof *beside + len);
  if (!beside) return -ENOMEM;
  beside->work = work;
  beside->gently = gently;
  memcpy(beside->args, args, len);
  beside->is_thread = pthread_create(&beside->thread, NULL, go_on, beside) == 0;
  if (!beside->is_thread) beside->result = work(beside->args);
  return (int64_t)(intptr_t)beside;
}

CR_API int64_t cr_end(int64_t begun) {
  struct beside *beside = (struct beside *)(intptr_t)begun;
  if (!beside) return -EINVAL;
  if (beside->is_thread) pthread_join(beside->thread, NULL);
  const int64_t result = beside->result;
  free(beside);
  return result;
}
