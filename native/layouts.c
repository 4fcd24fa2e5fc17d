/* The sizes and offsets of cr.h, so that a test can hold the TypeScript side to them. */
#include "cr.h"

#include <errno.h>
#include <string.h>

CR_API int64_t cr_layouts(uint8_t *out, int32_t size) {
  const uint32_t table[] = {
      sizeof(struct cr_range),
      sizeof(struct cr_call),
      offsetof(struct cr_call, args),
      offsetof(struct cr_call, result),
      sizeof(struct cr_site),
      offsetof(struct cr_site, chain),
      offsetof(struct cr_site, chain_len),
      offsetof(struct cr_site, stop_signal),
      offsetof(struct cr_site, place),
      offsetof(struct cr_site, place_len),
      offsetof(struct cr_site, orphan),
      offsetof(struct cr_site, options),
      offsetof(struct cr_site, keeps),
      offsetof(struct cr_site, wait_at),
      sizeof(struct cr_batch),
      offsetof(struct cr_batch, tid),
      offsetof(struct cr_batch, call_count),
      offsetof(struct cr_batch, scratch_len),
      offsetof(struct cr_batch, result),
      sizeof(struct cr_thread),
      offsetof(struct cr_thread, fpregs),
      offsetof(struct cr_thread, xstate),
      offsetof(struct cr_thread, xstate_len),
      offsetof(struct cr_thread, sigmask),
      offsetof(struct cr_thread, rseq_addr),
      offsetof(struct cr_thread, rseq_size),
      offsetof(struct cr_thread, robust_head),
      sizeof(struct cr_sched),
      offsetof(struct cr_sched, flags),
      offsetof(struct cr_sched, priority),
      offsetof(struct cr_sched, runtime),
      offsetof(struct cr_sched, affinity_len),
      offsetof(struct cr_sched, affinity),
      sizeof(struct cr_held),
      sizeof(struct cr_pages),
      sizeof(struct cr_frame),
      offsetof(struct cr_frame, crc),
  };
  if (size < 0 || (size_t)size < sizeof table) return -EINVAL;
  memcpy(out, table, sizeof table);
  return (int64_t)(sizeof table / sizeof table[0]);
}
