/*
 * Which pages a tracee really has: PAGEMAP_SCAN (Linux 6.7, Documentation/admin-guide/mm/pagemap.rst), or the
 * 64-bit words of /proc/PID/pagemap on older kernels, told in the same categories.
 */
#include "cr.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PAGE 4096u
#define WORDS 8192

/* linux/fs.h of 6.7; the headers of Debian 12 are older. */
struct pm_scan_arg {
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#define PM_SCAN_WP_MATCHING (1 << 0)
enum { IS_WPALLOWED = 1 << 0, IS_WRITTEN = 1 << 1, IS_FILE = 1 << 2, IS_PRESENT = 1 << 3, IS_SWAPPED = 1 << 4, IS_PFNZERO = 1 << 5, IS_GUARD = 1 << 8 };

/*
 * What a kind of scan asks for: pages that have all of `yes` and none of `no`. Two things cost the kernel time: a page
 * that is told, and IS_FILE, for which it looks at every page. So what is common is not asked for where it need not be.
 */
static void ask_for(struct pm_scan_arg *arg, int32_t kind) {
  uint64_t yes = 0, no = 0;
  if (kind == CR_SCAN_WRITTEN || kind == CR_SCAN_PROTECT) yes = IS_WPALLOWED | IS_WRITTEN, no = IS_GUARD;
  if (kind == CR_SCAN_UNTRACKED) no = IS_WPALLOWED | IS_FILE | IS_GUARD;
  if (kind == CR_SCAN_ABSENT) no = IS_PRESENT;
  if (kind == CR_SCAN_MARKED) no = IS_WRITTEN;
  if (kind == CR_SCAN_APART) no = IS_PRESENT | IS_WPALLOWED;
  if (kind == CR_SCAN_CHANGED) yes = IS_WPALLOWED;
  arg->category_inverted = no;
  arg->category_mask = yes | no;
  if (kind == CR_SCAN_CHANGED) {
    arg->category_inverted |= IS_PRESENT;
    arg->category_anyof_mask = IS_PRESENT | IS_WRITTEN; /* not the first, or the second */
    arg->return_mask = IS_PRESENT | IS_WRITTEN | IS_SWAPPED | IS_GUARD;
  } else if (kind != CR_SCAN_ABSENT && kind != CR_SCAN_APART) {
    arg->category_anyof_mask = IS_PRESENT | IS_SWAPPED;
  }
  if (kind == CR_SCAN_HELD) arg->return_mask = IS_FILE | IS_PRESENT | IS_SWAPPED | IS_PFNZERO | IS_GUARD;
  if (kind == CR_SCAN_ABSENT || kind == CR_SCAN_APART) arg->return_mask = IS_SWAPPED | IS_GUARD;
  if (kind == CR_SCAN_PROTECT) arg->flags = PM_SCAN_WP_MATCHING;
}

static int64_t scan(int fd, struct cr_range at, int32_t kind, struct cr_pages *out, uint64_t *next) {
  const size_t cap = at.off;
  struct pm_scan_arg arg = {
      .size = sizeof arg, .start = at.addr, .end = at.addr + at.len, .vec = (uintptr_t)out, .vec_len = cap};
  ask_for(&arg, kind);
  long count = ioctl(fd, PAGEMAP_SCAN, &arg);
  if (count < 0 && errno == EINVAL) { /* before 6.15 there is no guard category */
    arg.category_inverted &= ~(uint64_t)IS_GUARD;
    arg.category_mask &= ~(uint64_t)IS_GUARD;
    arg.return_mask &= ~(uint64_t)IS_GUARD;
    count = ioctl(fd, PAGEMAP_SCAN, &arg);
  }
  if (count < 0) return -errno;
  /*
   * walk_end is stale when the walk reached the end after the kernel's own buffer (512 ranges) had been flushed: the
   * end is reached whenever there was room for more (do_pagemap_scan in fs/proc/task_mmu.c, up to 6.18 at least).
   */
  *next = arg.walk_end;
  if ((size_t)count < cap) *next = arg.end;
  else if (out[count - 1].end > *next) *next = out[count - 1].end;
  return count;
}

static uint64_t categories_of(uint64_t word) {
  uint64_t categories = 0;
  if (word >> 58 & 1) categories |= IS_GUARD;
  if (word >> 61 & 1) categories |= IS_FILE;
  if (word >> 62 & 1) categories |= IS_SWAPPED;
  if (word >> 63 & 1) categories |= IS_PRESENT;
  return categories & (IS_SWAPPED | IS_PRESENT | IS_GUARD) ? categories : 0;
}

static int64_t scan_words(int fd, uint64_t start, uint64_t end, struct cr_pages *out, size_t cap,
                          uint64_t *next) {
  uint64_t words[WORDS], at = start;
  size_t count = 0;
  while (at < end) {
    uint64_t want = (end - at) / PAGE < WORDS ? (end - at) / PAGE : WORDS;
    ssize_t got = pread(fd, words, want * 8, (off_t)(at / PAGE * 8));
    if (got < 0) return -errno;
    if (got == 0) break;
    for (ssize_t i = 0; i < got / 8; i++, at += PAGE) {
      uint64_t categories = categories_of(words[i]);
      if (!categories) continue;
      struct cr_pages *last = count ? &out[count - 1] : NULL;
      if (last && last->end == at && last->categories == categories) {
        last->end += PAGE;
        continue;
      }
      if (count == cap) {
        *next = at;
        return (int64_t)count;
      }
      out[count++] = (struct cr_pages){at, at + PAGE, categories};
    }
  }
  *next = end;
  return (int64_t)count;
}

struct piece {
  struct cr_range at; /* `off` is the room */
  struct cr_pages *out;
  uint64_t stopped;
  int64_t count;
};

struct pieces {
  int fd;
  int32_t kind;
  struct piece piece[2];
  atomic_int taken;
};

static void *scan_pieces(void *arg) {
  struct pieces *all = arg;
  for (int i; (i = atomic_fetch_add(&all->taken, 1)) < 2;) {
    struct piece *piece = &all->piece[i];
    piece->count = scan(all->fd, piece->at, all->kind, piece->out, &piece->stopped);
  }
  return NULL;
}

/* The walk waits for nobody: two threads halve it. What is behind a first piece that was cut short is asked for again. */
static int64_t scan_split(struct pieces *all, uint64_t *next) {
  struct piece *first = &all->piece[0], *second = &all->piece[1];
  cr_in_threads(scan_pieces, all, 2, 0);
  if (first->count < 0) return first->count;
  *next = first->stopped;
  if (first->stopped < second->at.addr) return first->count;
  if (second->count < 0) return second->count;
  memmove(first->out + first->count, second->out, (size_t)second->count * sizeof *second->out);
  *next = second->stopped;
  return first->count + second->count;
}

CR_API int64_t cr_scan(int32_t fd, int64_t start, int64_t end, uint8_t *out, int32_t size, uint8_t *next,
                       int32_t kind) {
  struct cr_pages *pages = (struct cr_pages *)out;
  size_t cap = size > 0 ? (size_t)size / sizeof *pages : 0;
  uint64_t stopped = (uint64_t)end, split = 0;
  if (cap == 0 || start < 0 || end < start || start % PAGE || end % PAGE) return -EINVAL;
  struct cr_range at = {(uint64_t)start, (uint64_t)(end - start), cap};
  memcpy(&split, next, sizeof split);
  if (split > at.addr && split < (uint64_t)end) {
    if (split % PAGE || cap < 2 || kind == CR_SCAN_PROTECT || kind == CR_SCAN_WORDS) return -EINVAL;
    struct pieces pieces = {.fd = fd, .kind = kind};
    pieces.piece[0] = (struct piece){.at = {at.addr, split - at.addr, cap / 2}, .out = pages};
    pieces.piece[1] = (struct piece){.at = {split, (uint64_t)end - split, cap / 2}, .out = pages + cap / 2};
    int64_t both = scan_split(&pieces, &stopped);
    memcpy(next, &stopped, sizeof stopped);
    return both;
  }
  int64_t count = kind == CR_SCAN_WORDS ? scan_words(fd, (uint64_t)start, (uint64_t)end, pages, cap, &stopped)
                                        : scan(fd, at, kind, pages, &stopped);
  memcpy(next, &stopped, sizeof stopped);
  return count;
}

CR_API int64_t cr_data_spans(int32_t fd, int64_t start, int64_t end, uint8_t *out, int32_t size,
                             uint8_t *next) {
  struct cr_range *spans = (struct cr_range *)out;
  size_t cap = size > 0 ? (size_t)size / sizeof *spans : 0, count = 0;
  off_t at = start;
  while (count < cap && at < end) {
    off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0 && errno != ENXIO) return -errno;
    if (data < 0 || data >= end) {
      at = end;
      break;
    }
    off_t hole = lseek(fd, data, SEEK_HOLE);
    if (hole < 0) return -errno;
    at = hole < end ? hole : end;
    spans[count++] = (struct cr_range){0, (uint64_t)(at - data), (uint64_t)data};
  }
  memcpy(next, &at, sizeof at);
  return (int64_t)count;
}
