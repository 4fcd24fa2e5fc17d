/* The pieces of a space, and what happens to them when the program rearranges its memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lazy.h"

uint64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void space_open(struct space *s, int uffd, const struct plan *plan) {
  *s = (struct space){.uffd = uffd, .count = plan->head.runs, .room = plan->head.runs + 16u};
  s->pieces = calloc(s->room, sizeof *s->pieces);
  if (s->pieces == NULL) refuse_start("take memory", ENOMEM);
  for (uint32_t i = 0; i < plan->head.runs; i++)
    s->pieces[i] = (struct piece){.addr = plan->runs[i].addr, .len = plan->runs[i].len, .run = i};
  s->left = s->count;
}

int space_copy(const struct space *from, struct space *to, int uffd) {
  *to = (struct space){.uffd = uffd, .count = from->count, .room = from->count + 16, .left = from->left};
  to->pieces = calloc(to->room, sizeof *to->pieces);
  if (to->pieces == NULL) return -ENOMEM;
  memcpy(to->pieces, from->pieces, from->count * sizeof *to->pieces);
  return 0;
}

size_t space_find(const struct space *s, uint64_t at) {
  size_t low = 0, high = s->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const struct piece *p = &s->pieces[middle];
    /* One that is done has no length, and its place still tells the order. */
    if (p->addr + (p->len ? p->len : 1) <= at)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

void space_done(struct space *s, size_t index, uint64_t bytes) {
  struct piece *p = &s->pieces[index];
  if (bytes > p->len) bytes = p->len;
  p->addr += bytes;
  p->skip += bytes;
  p->len -= bytes;
  p->tries = 0;
  if (p->len == 0 && bytes > 0) s->left--;
}

static int make_room(struct space *s, size_t more) {
  if (s->count + more <= s->room) return 0;
  size_t room = (s->count + more) * 2;
  struct piece *grown = realloc(s->pieces, room * sizeof *grown);
  if (grown == NULL) return -ENOMEM;
  s->pieces = grown;
  s->room = room;
  return 0;
}

/* Takes [start, end) out of one piece; what is behind it becomes a piece of its own. */
static int cut_one(struct space *s, size_t index, uint64_t start, uint64_t end) {
  struct piece *p = &s->pieces[index];
  uint64_t last = p->addr + p->len;
  if (start > p->addr && end < last) {
    struct piece tail = *p;
    tail.skip += end - p->addr;
    tail.addr = end;
    tail.len = last - end;
    int err = make_room(s, 1);
    if (err < 0) return err;
    memmove(&s->pieces[index + 2], &s->pieces[index + 1], (s->count - index - 1) * sizeof tail);
    s->pieces[index + 1] = tail;
    s->count++;
    s->left++;
    s->pieces[index].len = start - s->pieces[index].addr;
  } else if (start > p->addr) {
    p->len = start - p->addr;
  } else if (end < last) {
    space_done(s, index, end - p->addr);
  } else {
    space_done(s, index, p->len);
  }
  return 0;
}

int space_cut(struct space *s, uint64_t start, uint64_t end, uint64_t keep_since) {
  for (size_t i = space_find(s, start); i < s->count && s->pieces[i].addr < end; i++) {
    const struct piece *p = &s->pieces[i];
    if (p->len == 0 || p->addr + p->len <= start) continue;
    if (keep_since && p->moved_ms >= keep_since) continue;
    int err = cut_one(s, i, start, end);
    if (err < 0) return err;
  }
  return 0;
}

/* Leaves out what is done. */
static void close_up(struct space *s) {
  size_t kept = 0;
  for (size_t i = 0; i < s->count; i++)
    if (s->pieces[i].len > 0) s->pieces[kept++] = s->pieces[i];
  s->count = s->left = kept;
  s->next = 0;
}

/* Puts pieces, in order of address, where no other one is: a delta has so many that they are not sorted anew. */
static void insert(struct space *s, const struct piece *pieces, size_t count) {
  size_t at = space_find(s, pieces[0].addr);
  memmove(&s->pieces[at + count], &s->pieces[at], (s->count - at) * sizeof *pieces);
  memcpy(&s->pieces[at], pieces, count * sizeof *pieces);
  s->count += count;
  s->left += count;
}

/* What lies in [from, from + len) lies at `to` from now on, and nothing else does. */
int space_move(struct space *s, uint64_t from, uint64_t to, uint64_t len) {
  struct piece *moved = NULL;
  size_t count = 0, room = 0;
  uint64_t now = now_ms();
  for (size_t i = space_find(s, from); i < s->count && s->pieces[i].addr < from + len; i++) {
    struct piece part = s->pieces[i];
    uint64_t start = part.addr > from ? part.addr : from;
    uint64_t end = part.addr + part.len < from + len ? part.addr + part.len : from + len;
    if (part.len == 0 || start >= end) continue;
    if (count == room) {
      room = room ? room * 2 : 16;
      struct piece *grown = realloc(moved, room * sizeof *moved);
      if (grown == NULL) {
        free(moved);
        return -ENOMEM;
      }
      moved = grown;
    }
    part.skip += start - part.addr;
    part.addr = start - from + to;
    part.len = end - start;
    part.moved_ms = now;
    part.tries = 0;
    moved[count++] = part;
  }
  int err = space_cut(s, from, from + len, 0);
  if (err == 0) err = space_cut(s, to, to + len, 0);
  if (err == 0) err = make_room(s, count);
  if (err == 0 && count > 0) {
    close_up(s);
    insert(s, moved, count);
  }
  free(moved);
  return err;
}
