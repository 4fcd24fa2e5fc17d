/*
 * Bulk copies: ranges of a tracee's memory to places in a file, and checksums of file ranges. A few threads
 * take ranges in turn, so that reading and writing overlap. All-zero pages are not written: they stay holes.
 */
#include "cr.h"

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

struct job {
  int32_t pid, fd, mem;
  const struct cr_range *ranges;
  int32_t count;
  uint32_t *crcs;
  _Atomic int32_t next;
  _Atomic int64_t written, error;
  int64_t (*one)(struct job *job, int32_t index, uint8_t *buffer);
};

static int is_zero(const uint8_t *page) {
  uint64_t first;
  memcpy(&first, page, 8);
  return first == 0 && memcmp(page, page + 8, PAGE - 8) == 0;
}

static int64_t write_all(int fd, const uint8_t *data, size_t len, uint64_t off) {
  for (size_t done = 0; done < len;) {
    ssize_t n = pwrite(fd, data + done, len - done, (off_t)(off + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) return -ENOSPC;
    done += (size_t)n;
  }
  return 0;
}

/* Writes the pages that are not all zero; the bytes written or -errno. */
static int64_t write_pages(int fd, const uint8_t *data, size_t len, uint64_t off) {
  int64_t written = 0;
  for (size_t at = 0; at < len;) {
    size_t end = at;
    while (end < len && !is_zero(data + end)) end += PAGE;
    if (end > at) {
      int64_t err = write_all(fd, data + at, end - at, off + at);
      if (err < 0) return err;
      written += (int64_t)(end - at);
    }
    at = end;
    while (at < len && is_zero(data + at)) at += PAGE;
  }
  return written;
}

static int64_t read_all(int fd, uint8_t *data, size_t len, uint64_t off) {
  for (size_t done = 0; done < len;) {
    ssize_t n = pread(fd, data + done, len - done, (off_t)(off + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) return -EIO;
    done += (size_t)n;
  }
  return 0;
}

/* process_vm_readv is fastest but respects protections; /proc/PID/mem reads PROT_NONE pages too. */
static int64_t read_tracee(struct job *job, const struct cr_range *r, uint8_t *buffer) {
  struct iovec local = {buffer, r->len}, remote = {(void *)(uintptr_t)r->addr, r->len};
  ssize_t n = process_vm_readv(job->pid, &local, 1, &remote, 1, 0);
  if (n == (ssize_t)r->len) return 0;
  if (n < 0 && errno == ESRCH) return -ESRCH;
  int64_t err = read_all(job->mem, buffer, r->len, r->addr);
  return err == -EIO ? -EFAULT : err; /* EIO is kept for the disk */
}

static int64_t copy_one(struct job *job, int32_t index, uint8_t *buffer) {
  const struct cr_range *r = &job->ranges[index];
  int64_t err = read_tracee(job, r, buffer);
  if (err < 0) return err;
  job->crcs[index] = cr_crc32c(0, buffer, r->len);
  return write_pages(job->fd, buffer, r->len, r->off);
}

static int64_t checksum_one(struct job *job, int32_t index, uint8_t *buffer) {
  const struct cr_range *r = &job->ranges[index];
  int64_t err = read_all(job->fd, buffer, r->len, r->off);
  if (err < 0) return err;
  job->crcs[index] = cr_crc32c(0, buffer, r->len);
  return (int64_t)r->len;
}

static void *work(void *arg) {
  struct job *job = arg;
  uint8_t *buffer = aligned_alloc(PAGE, CR_RUN_MAX);
  if (!buffer) {
    atomic_store(&job->error, -ENOMEM);
    return NULL;
  }
  while (atomic_load(&job->error) == 0) {
    int32_t index = atomic_fetch_add(&job->next, 1);
    if (index >= job->count) break;
    int64_t got = job->one(job, index, buffer);
    if (got < 0) {
      int64_t none = 0;
      atomic_compare_exchange_strong(&job->error, &none, got);
      break;
    }
    atomic_fetch_add(&job->written, got);
  }
  free(buffer);
  return NULL;
}

static int64_t run(struct job *job, int32_t threads) {
  pthread_t others[THREADS_MAX];
  int32_t started = 0;
  int64_t bytes = 0;
  for (int32_t i = 0; i < job->count; i++) {
    if (job->ranges[i].len == 0 || job->ranges[i].len > CR_RUN_MAX) return -EINVAL;
    if (job->mem >= 0 && job->ranges[i].len % PAGE) return -EINVAL;
    bytes += (int64_t)job->ranges[i].len;
  }
  if (threads > THREADS_MAX) threads = THREADS_MAX;
  if (bytes < (int64_t)(4 * CR_RUN_MAX)) threads = 1; /* starting a thread would cost more than it saves */
  while (started < threads - 1 && pthread_create(&others[started], NULL, work, job) == 0) started++;
  work(job);
  for (int32_t i = 0; i < started; i++) pthread_join(others[i], NULL);
  return job->error < 0 ? job->error : job->written;
}

CR_API int64_t cr_copy_out(int32_t pid, int32_t fd, uint8_t *ranges, int32_t count, uint8_t *crcs,
                           int32_t threads) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  int mem = open(path, O_RDONLY | O_CLOEXEC);
  if (mem < 0) return -errno;
  struct job job = {.pid = pid,
                    .fd = fd,
                    .mem = mem,
                    .ranges = (const struct cr_range *)ranges,
                    .count = count,
                    .crcs = (uint32_t *)crcs,
                    .one = copy_one};
  int64_t result = run(&job, threads);
  close(mem);
  return result;
}

CR_API int64_t cr_checksum(int32_t fd, uint8_t *ranges, int32_t count, uint8_t *crcs, int32_t threads) {
  struct job job = {.fd = fd,
                    .mem = -1,
                    .ranges = (const struct cr_range *)ranges,
                    .count = count,
                    .crcs = (uint32_t *)crcs,
                    .one = checksum_one};
  return run(&job, threads);
}
