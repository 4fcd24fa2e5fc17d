/*
 * The other way round than bulk.c: ranges of a core, plain or compressed, into the memory of a newborn, into a plain
 * file, or nowhere, with the checksum of each. A few threads take ranges in turn: reading, checksums, the newborn's
 * page faults and copying go on side by side.
 */
#include "frames.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096u
#define THREADS_MAX 16
#define BATCH 4  /* neighbours share a frame */
#define SPANS 64 /* pieces that are written at once */

struct filling {
  int32_t pid, out_fd, mem, count, flags, frame_count, fd;
  const struct cr_range *ranges;
  const struct cr_frame *frames;
  uint32_t *crcs;
  _Atomic int32_t next;
  _Atomic int64_t written, error;
};

static int is_zero(const uint8_t *data, size_t len) {
  return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

/* Memory that may not be written to takes the longer way (proc_pid_mem(5)). */
static int64_t put_spans(struct filling *job, const struct iovec *local, const struct iovec *remote, int count) {
  size_t bytes = 0;
  for (int i = 0; i < count; i++) bytes += local[i].iov_len;
  ssize_t n = process_vm_writev(job->pid, local, (unsigned long)count, remote, (unsigned long)count, 0);
  if (n == (ssize_t)bytes) return (int64_t)bytes;
  if (n < 0 && errno == ESRCH) return -ESRCH;
  for (int i = 0; i < count; i++) {
    uint64_t at = (uint64_t)(uintptr_t)remote[i].iov_base;
    int64_t err = cr_write_whole(job->mem, local[i].iov_base, local[i].iov_len, at);
    if (err < 0) return err;
  }
  return (int64_t)bytes;
}

/* The next piece of `data` from *at on that has to be written; its length, 0 behind the last. */
static size_t next_span(const struct filling *job, const uint8_t *data, size_t len, size_t *at) {
  if (!(job->flags & CR_FILL_FRESH)) return len - *at;
  size_t page = 0;
#define PAGE_AT(from) (len - (from) < PAGE ? len - (from) : PAGE)
  while (*at < len && is_zero(data + *at, PAGE_AT(*at))) *at += PAGE_AT(*at);
  while (*at + page < len && !is_zero(data + *at + page, PAGE_AT(*at + page))) page += PAGE_AT(*at + page);
#undef PAGE_AT
  return page;
}

static int64_t put(struct filling *job, const struct cr_range *r, uint8_t *data) {
  struct iovec local[SPANS], remote[SPANS];
  int count = 0;
  int64_t written = 0;
  size_t at = 0;
  for (size_t len; (len = next_span(job, data, r->len, &at)) > 0; at += len) {
    if (job->pid == 0) {
      int64_t err = cr_write_whole(job->out_fd, data + at, len, r->addr + at);
      if (err < 0) return err;
      written += (int64_t)len;
      continue;
    }
    local[count] = (struct iovec){data + at, len};
    remote[count++] = (struct iovec){(void *)(uintptr_t)(r->addr + at), len};
    if (count < SPANS) continue;
    int64_t n = put_spans(job, local, remote, count);
    if (n < 0) return n;
    written += n;
    count = 0;
  }
  int64_t n = count == 0 ? 0 : put_spans(job, local, remote, count);
  return n < 0 ? n : written + n;
}

static int64_t fill_one(struct filling *job, struct cr_source *source, int32_t index, uint8_t *data) {
  const struct cr_range *r = &job->ranges[index];
  int64_t err = cr_source_read(source, data, r->len, r->off);
  if (err < 0) return err;
  job->crcs[index] = cr_crc32c(0, data, r->len);
  return job->pid == 0 && job->out_fd < 0 ? (int64_t)r->len : put(job, r, data);
}

static void *fill_some(void *arg) {
  struct filling *job = arg;
  struct cr_source source = {.fd = job->fd, .count = job->frame_count, .frames = job->frames};
  uint8_t *data = malloc(CR_FRAME_MAX);
  int64_t err = data ? cr_source_open(&source) : -ENOMEM;
  while (err >= 0 && atomic_load(&job->error) == 0) {
    int32_t first = atomic_fetch_add(&job->next, BATCH);
    if (first >= job->count) break;
    for (int32_t i = first; err >= 0 && i < first + BATCH && i < job->count; i++) {
      err = fill_one(job, &source, i, data);
      if (err > 0) atomic_fetch_add(&job->written, err);
    }
  }
  int64_t none = 0;
  if (err < 0) atomic_compare_exchange_strong(&job->error, &none, err);
  if (data) cr_source_close(&source);
  free(data);
  return NULL;
}

static int64_t fill(struct filling *job, int32_t threads) {
  pthread_t others[THREADS_MAX];
  int32_t started = 0;
  uint64_t bytes = 0;
  for (int32_t i = 0; i < job->count; i++) {
    if (job->ranges[i].len == 0 || job->ranges[i].len > CR_FRAME_MAX) return -EINVAL;
    bytes += job->ranges[i].len;
  }
  if (threads > THREADS_MAX) threads = THREADS_MAX;
  if (bytes < 4 * CR_RUN_MAX) threads = 1; /* starting a thread would cost more than it saves */
  while (started < threads - 1 && pthread_create(&others[started], NULL, fill_some, job) == 0) started++;
  fill_some(job);
  for (int32_t i = 0; i < started; i++) pthread_join(others[i], NULL);
  return job->error < 0 ? job->error : job->written;
}

CR_API int64_t cr_fill(int32_t pid, int32_t out_fd, int32_t fd, uint8_t *ranges, int32_t count, uint8_t *crcs,
                       uint8_t *frames, int32_t frame_count, int32_t flags, int32_t threads) {
  struct filling job = {.pid = pid,
                        .out_fd = out_fd,
                        .mem = -1,
                        .count = count,
                        .flags = flags,
                        .frame_count = frame_count,
                        .fd = fd,
                        .ranges = (const struct cr_range *)ranges,
                        .frames = (const struct cr_frame *)frames,
                        .crcs = (uint32_t *)crcs};
  if (count < 0 || frame_count < 0) return -EINVAL;
  if (pid != 0) {
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    job.mem = open(path, O_RDWR | O_CLOEXEC);
    if (job.mem < 0) return -errno;
  }
  int64_t result = fill(&job, threads);
  if (job.mem >= 0) close(job.mem);
  return result;
}
