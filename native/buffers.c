/*
 * Buffers of a huge page that threads of a copy leave to those of the next: the kernel clears what is new, which takes as
 * long as the copying.
 */
#include "cr.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define KEPT 4

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *kept[KEPT];
static int count;

uint8_t *cr_take_buffer(void) {
  pthread_mutex_lock(&lock);
  uint8_t *buffer = count > 0 ? kept[--count] : NULL;
  pthread_mutex_unlock(&lock);
  if (buffer) return buffer;
  buffer = aligned_alloc(CR_BUFFER, CR_BUFFER);
  if (buffer) (void)madvise(buffer, CR_BUFFER, MADV_HUGEPAGE); /* only sooner */
  return buffer;
}

void cr_give_buffer(uint8_t *buffer) {
  pthread_mutex_lock(&lock);
  const int is_kept = count < KEPT;
  if (is_kept) kept[count++] = buffer;
  pthread_mutex_unlock(&lock);
  if (!is_kept) free(buffer);
}
