/*
 * Bulk copies: ranges of a tracee's memory to places in a file or in a stash (memory of ours, filled while the tracee
 * stands and written out once it runs). A few threads take ranges in turn, so that reading and writing overlap.
 * All-zero pages are not written: they stay, or become, holes.
 */
#include "beside.h"
#include "frames.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096u
#define BATCH 128  /* ranges that are read in one call into the stash, where they stand one behind the other */
#define GATHER 512 /* the same on their way into a file; IOV_MAX is 1024 */
#define PIECE (128u << 10)

struct job {
  int32_t pid, fd, mem, count, batch, flags;
  uint64_t batch_bytes;
  const struct cr_range *ranges;
  uint32_t *crcs;
  int32_t *first; /* number of each range's first page */
  uint8_t *stash;
  uint64_t stash_len;
  _Atomic int32_t next;
  _Atomic int64_t written, error;
  int64_t (*some)(struct job *job, int32_t index, int32_t end, uint8_t *buffer);
};

static int64_t read_all(int fd, uint8_t *data, size_t len, uint64_t off) {
  int64_t err = cr_read_whole(fd, data, len, off);
  return err == -ENODATA ? -EIO : err;
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

/* The same page by page, summed up; what is gone reads as zeros and gets a mark for a checksum. */
static int64_t read_loosely(struct job *job, const struct cr_range *r, uint8_t *buffer, uint32_t *crcs) {
  for (size_t at = 0; at < r->len; at += PAGE) {
    struct cr_range page = {r->addr + at, PAGE, 0};
    int64_t err = read_tracee(job, &page, buffer + at);
    if (err < 0 && err != -EFAULT) return err;
    if (err < 0) memset(buffer + at, 0, PAGE);
    crcs[at / PAGE] = err < 0 ? CR_COPY_GONE : cr_crc32c(0, buffer + at, PAGE);
  }
  return 0;
}

/* Small ranges in one call, one behind the other; 0, or -errno with nothing to rely on in the buffer. */
static int64_t read_together(struct job *job, int32_t index, int32_t end, uint8_t *buffer) {
  struct iovec local = {buffer, 0}, remote[GATHER];
  if (end - index < 2) return -EINVAL;
  for (int32_t i = index; i < end; i++) {
    remote[i - index] = (struct iovec){(void *)(uintptr_t)job->ranges[i].addr, job->ranges[i].len};
    local.iov_len += job->ranges[i].len;
  }
  if (local.iov_len / PIECE > (size_t)(end - index)) return -EINVAL; /* large ones are sooner summed up piece by piece */
  ssize_t n = process_vm_readv(job->pid, &local, 1, remote, (unsigned long)(end - index), 0);
  return n == (ssize_t)local.iov_len ? 0 : -EFAULT;
}

/* Reads one range, unless that is done, and sums up its pages: piece by piece, while they are in the CPU's own cache. */
static int64_t sum_one(struct job *job, int32_t index, uint8_t *data, int is_read) {
  const struct cr_range *r = &job->ranges[index];
  for (uint64_t at = 0, len; at < r->len; at += len) {
    len = r->len - at < PIECE ? r->len - at : PIECE;
    struct cr_range piece = {r->addr + at, len, 0};
    uint32_t *crcs = job->crcs + job->first[index] + at / PAGE;
    int64_t err = is_read ? 0 : read_tracee(job, &piece, data + at);
    if (err == -EFAULT && job->flags & CR_COPY_LOOSE)
      err = read_loosely(job, &piece, data + at, crcs);
    else if (err == 0)
      cr_crc32c_pages(data + at, len / PAGE, crcs);
    if (err < 0) return err;
  }
  return 0;
}

/* What stands together, in memory and in the file, is written together. */
static int64_t copy_some(struct job *job, int32_t index, int32_t end, uint8_t *buffer) {
  const int is_together = job->pid != 0 && read_together(job, index, end, buffer) == 0;
  const int32_t last = end - 1;
  if (is_together)
    cr_crc32c_pages(buffer, (size_t)(job->first[last] - job->first[index]) + job->ranges[last].len / PAGE,
                    job->crcs + job->first[index]);
  int64_t written = 0;
  uint8_t *from = NULL;
  struct cr_range whole = {0, 0, 0};
  for (int32_t i = index; i <= end; i++) {
    const struct cr_range *r = &job->ranges[i];
    uint8_t *data = i == end ? NULL : job->pid == 0 ? job->stash + r->addr : buffer;
    int64_t err = i == end || is_together ? 0 : sum_one(job, i, data, job->pid == 0);
    if (err < 0) return err;
    if (i < end && from && data == from + whole.len && r->off == whole.off + whole.len) {
      whole.len += r->len;
    } else {
      int64_t bytes = from ? cr_write_sparse(job->fd, from, &whole, job->flags) : 0;
      if (bytes < 0) return bytes;
      written += bytes;
      from = data;
      if (i < end) whole = *r;
    }
    if (i < end && job->pid != 0) buffer += r->len;
  }
  return written;
}

static int64_t stash_some(struct job *job, int32_t index, int32_t end, uint8_t *buffer) {
  struct iovec local = {job->stash + job->ranges[index].off, 0}, remote[BATCH];
  int32_t i = index;
  (void)buffer;
  for (; i < end; i++) {
    const struct cr_range *r = &job->ranges[i];
    if (r->off != job->ranges[index].off + local.iov_len) break;
    remote[i - index] = (struct iovec){(void *)(uintptr_t)r->addr, r->len};
    local.iov_len += r->len;
  }
  ssize_t n = i == end ? process_vm_readv(job->pid, &local, 1, remote, (unsigned long)(end - index), 0) : -1;
  if (n == (ssize_t)local.iov_len) return (int64_t)n;
  int64_t copied = 0;
  for (i = index; i < end; i++) {
    int64_t err = read_tracee(job, &job->ranges[i], job->stash + job->ranges[i].off);
    if (err < 0) return err;
    copied += (int64_t)job->ranges[i].len;
  }
  return copied;
}

/* Takes what comes next: as many ranges as one turn may have. None when it returns `*end`. */
static int32_t take(struct job *job, int32_t *end) {
  int32_t index = atomic_load(&job->next);
  do {
    uint64_t bytes = 0;
    for (*end = index; *end < job->count && *end < index + job->batch; ++*end) {
      bytes += job->ranges[*end].len;
      if (*end > index && bytes > job->batch_bytes) break;
    }
  } while (!atomic_compare_exchange_weak(&job->next, &index, *end));
  return index;
}

static void *work(void *arg) {
  struct job *job = arg;
  const int is_direct = job->flags & CR_COPY_DIRECT;
  uint8_t *buffer = is_direct ? cr_take_buffer() : aligned_alloc(PAGE, CR_RUN_MAX);
  if (!buffer) {
    atomic_store(&job->error, -ENOMEM);
    return NULL;
  }
  while (atomic_load(&job->error) == 0) {
    int32_t end, index = take(job, &end);
    if (index == end) break;
    int64_t got = job->some(job, index, end, buffer);
    if (got < 0) {
      int64_t none = 0;
      atomic_compare_exchange_strong(&job->error, &none, got);
      break;
    }
    atomic_fetch_add(&job->written, got);
  }
  if (is_direct)
    cr_give_buffer(buffer);
  else
    free(buffer);
  return NULL;
}

static int64_t run(struct job *job, int32_t threads) {
  int64_t bytes = 0;
  for (int32_t i = 0; i < job->count; i++) {
    const struct cr_range *r = &job->ranges[i];
    if (r->len == 0 || r->len % PAGE || r->len > CR_RUN_MAX) return -EINVAL;
    const uint64_t in_stash = job->pid == 0 ? r->addr : r->off;
    if (job->stash && (in_stash > job->stash_len || r->len > job->stash_len - in_stash)) return -EINVAL;
    if (job->first) job->first[i] = (int32_t)(bytes / PAGE);
    bytes += (int64_t)r->len;
  }
  const int is_little = bytes < (int64_t)(4 * CR_RUN_MAX); /* starting a thread would cost more than it saves */
  cr_in_threads(work, job, is_little ? 1 : threads, !is_little && job->flags & CR_COPY_GENTLY);
  return job->error < 0 ? job->error : job->written;
}

struct copy {
  int32_t pid, fd, count, threads, flags;
  uint8_t *ranges, *crcs, *stash;
  int64_t stash_len;
};

static int64_t copy_out(const void *args) {
  const struct copy *copy = args;
  const int in_file = copy->fd >= 0;
  struct job job = {.pid = copy->pid,
                    .fd = copy->fd,
                    .mem = -1,
                    .count = copy->count,
                    .batch = in_file ? GATHER : BATCH,
                    .batch_bytes = !in_file ? UINT64_MAX : copy->flags & CR_COPY_DIRECT ? CR_BUFFER : CR_RUN_MAX,
                    .flags = copy->flags,
                    .ranges = (const struct cr_range *)copy->ranges,
                    .crcs = (uint32_t *)copy->crcs,
                    .stash = copy->pid == 0 || !in_file ? copy->stash : NULL,
                    .stash_len = (uint64_t)copy->stash_len,
                    .some = in_file ? copy_some : stash_some};
  if (copy->pid != 0) {
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/mem", copy->pid);
    job.mem = open(path, O_RDONLY | O_CLOEXEC);
    if (job.mem < 0) return -errno;
  }
  if (in_file) job.first = malloc(sizeof *job.first * ((size_t)copy->count + 1));
  int64_t result = in_file && !job.first ? -ENOMEM : run(&job, copy->threads);
  free(job.first);
  if (job.mem >= 0) close(job.mem);
  return result;
}

CR_API int64_t cr_copy_out(int32_t pid, int32_t fd, uint8_t *ranges, int32_t count, uint8_t *crcs,
                           int32_t threads, uint8_t *stash, int64_t stash_len, int32_t flags) {
  const struct copy copy = {pid, fd, count, threads, flags, ranges, crcs, stash, stash_len};
  if (count < 0 || stash_len < 0 || (pid == 0 && fd < 0)) return -EINVAL;
  return flags & CR_COPY_BEGIN ? cr_begin(copy_out, &copy, sizeof copy, 0) : copy_out(&copy);
}
