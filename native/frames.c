/*
 * Compressed frames of a core, each by itself: cr_pack makes them, a few threads taking slices of the plain file in
 * turn and appending what comes out; cr_frame_source reads plain bytes back out of them, one frame at a time.
 */
#include "frames.h"
#include "zstd.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


struct packing {
  int32_t fd, out_fd, count, level;
  struct cr_frame *frames;
  _Atomic int32_t next;
  _Atomic int64_t end, error;
};

int64_t cr_read_whole(int fd, uint8_t *data, size_t len, uint64_t off) {
  for (size_t done = 0; done < len;) {
    ssize_t n = pread(fd, data + done, len - done, (off_t)(off + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) return -ENODATA;
    done += (size_t)n;
  }
  return 0;
}

int64_t cr_write_whole(int fd, const uint8_t *data, size_t len, uint64_t off) {
  for (size_t done = 0; done < len;) {
    ssize_t n = pwrite(fd, data + done, len - done, (off_t)(off + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) return -ENOSPC;
    done += (size_t)n;
  }
  return 0;
}

static int all_zero(const uint8_t *data, size_t len) {
  return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

/* Where the file has a hole, nothing needs to be read. */
static int is_hole(int fd, const struct cr_frame *f) {
  off_t data = lseek(fd, (off_t)f->plain_off, SEEK_DATA);
  return data < 0 ? errno == ENXIO : (uint64_t)data >= f->plain_off + f->plain_len;
}

static int64_t pack_one(struct packing *job, struct cr_frame *f, void *context, uint8_t *buffers) {
  uint8_t *plain = buffers, *packed = buffers + CR_RUN_MAX;
  f->off = f->len = f->crc = 0;
  if (is_hole(job->fd, f)) return 0;
  int64_t err = cr_read_whole(job->fd, plain, f->plain_len, f->plain_off);
  if (err < 0) return err;
  if (all_zero(plain, f->plain_len)) return 0;
  const struct cr_zstd *zstd = cr_zstd();
  size_t len = zstd->compress(context, packed, CR_FRAME_MAX, plain, f->plain_len, job->level);
  if (zstd->is_error(len)) return -EIO;
  f->len = len;
  f->crc = cr_crc32c(0, packed, len);
  f->off = (uint64_t)atomic_fetch_add(&job->end, (int64_t)len);
  return cr_write_whole(job->out_fd, packed, len, f->off);
}

static void *pack_some(void *arg) {
  struct packing *job = arg;
  const struct cr_zstd *zstd = cr_zstd();
  uint8_t *buffers = malloc(CR_RUN_MAX + CR_FRAME_MAX);
  void *context = zstd->create_compressor();
  int64_t err = buffers && context ? 0 : -ENOMEM;
  while (err == 0 && atomic_load(&job->error) == 0) {
    int32_t index = atomic_fetch_add(&job->next, 1);
    if (index >= job->count) break;
    err = pack_one(job, &job->frames[index], context, buffers);
  }
  int64_t none = 0;
  if (err < 0) atomic_compare_exchange_strong(&job->error, &none, err);
  zstd->free_compressor(context);
  free(buffers);
  return NULL;
}

CR_API int64_t cr_pack(int32_t fd, int32_t out_fd, int64_t out_off, uint8_t *frames, int32_t count,
                       int32_t level, int32_t threads) {
  if (!cr_zstd()) return -ENOSYS;
  struct packing job = {.fd = fd,
                        .out_fd = out_fd,
                        .count = count,
                        .level = level,
                        .frames = (struct cr_frame *)frames,
                        .end = out_off};
  for (int32_t i = 0; i < count; i++) {
    if (job.frames[i].plain_len == 0 || job.frames[i].plain_len > CR_RUN_MAX) return -EINVAL;
  }
  cr_in_threads(pack_some, &job, threads < count ? threads : count, 1);
  return job.error < 0 ? job.error : job.end;
}

int64_t cr_source_open(struct cr_source *source) {
  source->loaded = -1;
  source->context = NULL;
  source->plain = source->packed = NULL;
  if (source->count == 0) return 0;
  if (!cr_zstd()) return -ENOSYS;
  source->context = cr_zstd()->create_expander();
  source->plain = malloc(CR_RUN_MAX);
  source->packed = malloc(CR_FRAME_MAX);
  return source->context && source->plain && source->packed ? 0 : -ENOMEM;
}

void cr_source_close(struct cr_source *source) {
  if (source->context) cr_zstd()->free_expander(source->context);
  free(source->plain);
  free(source->packed);
}

/* The whole frame into source->plain; -EBADMSG where its bytes are not those that were written. */
static int64_t load_frame(struct cr_source *source, int32_t index) {
  const struct cr_frame *f = &source->frames[index];
  if (source->loaded == index) return 0;
  source->loaded = -1;
  if (f->plain_len > CR_RUN_MAX || f->len > CR_FRAME_MAX) return -EINVAL;
  int64_t err = cr_read_whole(source->fd, source->packed, f->len, f->off);
  if (err < 0) return err;
  if (cr_crc32c(0, source->packed, f->len) != f->crc) return -EBADMSG;
  size_t got = cr_zstd()->expand(source->context, source->plain, f->plain_len, source->packed, f->len);
  if (got != f->plain_len) return -EBADMSG; /* errors are huge numbers */
  source->loaded = index;
  return 0;
}

/* Index of the first frame that ends behind `off`. */
static int32_t first_behind(const struct cr_source *source, uint64_t off) {
  int32_t low = 0, high = source->count;
  while (low < high) {
    int32_t middle = low + (high - low) / 2;
    const struct cr_frame *f = &source->frames[middle];
    if (f->plain_off + f->plain_len <= off) low = middle + 1;
    else high = middle;
  }
  return low;
}

int64_t cr_source_read(struct cr_source *source, uint8_t *data, size_t len, uint64_t off) {
  if (source->count == 0) return cr_read_whole(source->fd, data, len, off);
  memset(data, 0, len); /* what is in no frame is zero */
  for (int32_t i = first_behind(source, off); i < source->count; i++) {
    const struct cr_frame *f = &source->frames[i];
    if (f->plain_off >= off + len) break;
    int64_t err = load_frame(source, i);
    if (err < 0) return err;
    uint64_t from = f->plain_off > off ? f->plain_off : off;
    uint64_t end = f->plain_off + f->plain_len < off + len ? f->plain_off + f->plain_len : off + len;
    memcpy(data + (from - off), source->plain + (from - f->plain_off), end - from);
  }
  return 0;
}
