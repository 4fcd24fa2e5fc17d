/*
 * Bytes of the cores into a space (ioctl_userfaultfd(2), UFFDIO_COPY). A run is read whole and proved before a byte of
 * it is shown to anybody.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lazy.h"

#define TRIES_MAX 5
/* Below the lowest address that a program can map by default; nobody has it in a userfaultfd. */
#define NOWHERE 0x10000ull

static _Alignas(4096) uint8_t bytes[CR_RUN_MAX];
static int64_t loaded = -1;
static const struct plan *plan;
static struct cr_source sources[SOURCES_MAX];

void open_sources(const struct plan *the_plan) {
  plan = the_plan;
  for (uint32_t i = 0; i < plan->head.sources; i++) {
    const int32_t count = (int32_t)plan->sources[i].frames;
    sources[i] = (struct cr_source){.fd = SOURCE_FD + (int)i, .count = count, .frames = plan->frames[i]};
    int64_t err = cr_source_open(&sources[i]);
    if (err < 0) refuse_start("open the frames of a core", (int)-err);
  }
}

static int load(uint32_t index) {
  const struct lazy_run *run = &plan->runs[index];
  if (loaded == index) return 0;
  loaded = -1;
  int64_t err = cr_source_read(&sources[run->source], bytes, run->len, run->off);
  if (err < 0) return (int)err;
  if (cr_crc32c(0, bytes, run->len) != run->crc) return -EBADMSG;
  loaded = index;
  return 0;
}

static int is_zero(const uint8_t *data) {
  return data[0] == 0 && memcmp(data, data + 1, PAGE - 1) == 0;
}

/* Pages at `data` that are all zero, or all not. */
static uint64_t alike(const uint8_t *data, uint64_t len, int zero) {
  uint64_t at = 0;
  while (at < len && is_zero(data + at) == zero) at += PAGE;
  return at;
}

/* Bytes that were put in place, or are there already; else -errno. */
static int64_t copy(const struct space *s, uint64_t to, const uint8_t *from, uint64_t len) {
  for (;;) {
    struct uffdio_copy c = {.dst = to, .src = (uint64_t)(uintptr_t)from, .len = len};
    if (ioctl(s->uffd, UFFDIO_COPY, &c) == 0) return (int64_t)len;
    if (c.copy > 0) return c.copy;
    int64_t err = c.copy < 0 ? c.copy : -errno;
    if (err == -EEXIST) return (int64_t)PAGE;
    /* A range is one mapping's: mprotect(2) may have made two of it. */
    if (err != -ENOENT || len == PAGE) return err;
    len = len / PAGE / 2 * PAGE;
  }
}

/*
 * Nothing is there to put a page into, and no event has told so: memory that a child did not get (MADV_DONTFORK), or
 * mremap(2) is under way. What is still not there after some more rounds of events is let be.
 */
static int missing(struct space *s, size_t index) {
  if (++s->pieces[index].tries < TRIES_MAX) return -EAGAIN;
  space_done(s, index, PAGE);
  s->pieces[index].tries = TRIES_MAX - 1; /* nor is its neighbour, mostly */
  return 0;
}

int place_piece(struct space *s, size_t index) {
  int err = load(s->pieces[index].run);
  if (err < 0) return err;
  while (s->pieces[index].len > 0) {
    const struct piece *p = &s->pieces[index];
    const uint8_t *data = bytes + p->skip;
    uint64_t zeros = alike(data, p->len, 1);
    if (zeros > 0) {
      space_done(s, index, zeros);
      continue;
    }
    int64_t done = copy(s, p->addr, data, alike(data, p->len, 0));
    if (done == -ENOENT)
      done = missing(s, index);
    else if (done > 0)
      space_done(s, index, (uint64_t)done);
    if (done < 0) return (int)done;
  }
  return 0;
}

/* Also wakes whoever waits for a page that is there. */
int place_zero(struct space *s, uint64_t at) {
  struct uffdio_zeropage z = {.range = {.start = at, .len = PAGE}};
  if (ioctl(s->uffd, UFFDIO_ZEROPAGE, &z) == 0) return 0;
  int err = z.zeropage < 0 ? (int)z.zeropage : -errno;
  if (err == -EAGAIN || err == -ESRCH) return err;
  struct uffdio_range range = {.start = at, .len = PAGE};
  ioctl(s->uffd, UFFDIO_WAKE, &range);
  return err == -EEXIST || err == -ENOENT ? 0 : err;
}

int is_gone(const struct space *s) {
  struct uffdio_zeropage z = {.range = {.start = NOWHERE, .len = PAGE}};
  return ioctl(s->uffd, UFFDIO_ZEROPAGE, &z) < 0 && errno == ESRCH;
}
