/*
 * cr-lazy: the memory of a program that runs already, brought when it is touched (userfaultfd(2)). A space is one
 * address space that waits for content: the program's, or that of a child it forked meanwhile. A piece is a part of a
 * space whose bytes stand in a core and are not in place yet; whatever is in no piece is zero. A source is a core that
 * holds some of them: the one that is restored, or one that it builds on.
 */
#ifndef LAZY_H
#define LAZY_H

#include <stddef.h>
#include <stdint.h>

#include "../frames.h"

#define PAGE 4096ull
#define SPACES_MAX 4096
#define TEXT_MAX 4400 /* what went wrong, with the name of a file */
#define LAZY_MAGIC 0x797a616c65726f63ull /* "corelazy" */

/* Descriptors it is started with; 0 is the line to cr. */
#define LINE_FD 0
#define UFFD_FD 3
#define SOURCE_FD 4 /* and those behind it */
#define SOURCES_MAX 16

/* What cr tells first: this, then areas, runs and sources one after the other, two names, and of each source its frames
 * and its name (see plan.c). */
struct lazy_head {
  uint64_t magic;
  uint32_t areas, runs, sources;
  uint32_t core_len, pace_len, pad;
};
struct lazy_area {
  uint64_t start, end;
};
struct lazy_run {
  uint64_t addr, len, off;
  uint32_t crc, source;
};
struct lazy_source {
  uint32_t frames, name_len; /* no frames: a plain core; no name: the one that is restored */
};
_Static_assert(sizeof(struct lazy_head) == 32, "lazy_head");
_Static_assert(sizeof(struct lazy_run) == 32, "lazy_run");
_Static_assert(sizeof(struct lazy_source) == 8, "lazy_source");
_Static_assert(SOURCE_FD + SOURCES_MAX <= CR_SPAWN_SERVER_FDS, "descriptors of a server");

struct plan {
  struct lazy_head head;
  struct lazy_area *areas;
  struct lazy_run *runs; /* in order of address */
  struct lazy_source *sources;
  struct cr_frame *frames[SOURCES_MAX];
  char *names[SOURCES_MAX];
  char *core, *pace;
};

struct piece {
  uint64_t addr, len; /* len 0: done, or taken away */
  uint64_t skip;      /* from this byte of its run on */
  uint32_t run;
  uint32_t tries;   /* times that nothing was found to put it into */
  uint64_t moved_ms; /* when mremap(2) brought it here, 0 for never */
};

struct space {
  int uffd;
  size_t count, room, next; /* pieces in order of address; `next` is where the background fill goes on */
  size_t left;              /* pieces that are not done */
  struct piece *pieces;
};

/* Shared with the guardian; the descriptors in it are those of both (CLONE_FILES). */
struct common {
  _Atomic int done, told; /* that all is in place; what went wrong */
  _Atomic int spaces;
  _Atomic int uffds[SPACES_MAX]; /* -1: gone */
};

/* plan.c: what cr tells at the start. Ends the process with what is wrong. */
struct plan read_plan(void);
__attribute__((noreturn)) void refuse_start(const char *what, int number);

/* space.c */
void space_open(struct space *s, int uffd, const struct plan *plan);
int space_copy(const struct space *from, struct space *to, int uffd); /* -ENOMEM */
/* Index of the first piece that ends behind `at`, done or not. */
size_t space_find(const struct space *s, uint64_t at);
/* The bytes [start, end) are zero from now on; with `keep_since` but for what was moved there since then. */
int space_cut(struct space *s, uint64_t start, uint64_t end, uint64_t keep_since);
int space_move(struct space *s, uint64_t from, uint64_t to, uint64_t len);
/* The first `bytes` of a piece are done. */
void space_done(struct space *s, size_t index, uint64_t bytes);
uint64_t now_ms(void);

/* place.c: bytes of the cores into a space. 0, -EAGAIN (events wait to be read), -ESRCH (the space is gone), or
 * what is wrong with a core: -EBADMSG, -ENODATA, -EIO, ... */
void open_sources(const struct plan *plan);
int place_piece(struct space *s, size_t index);
int place_zero(struct space *s, uint64_t at);
int is_gone(const struct space *s);

/* Whom server and guardian look after. */
struct watched {
  int pid, pidfd; /* the program */
  int other;      /* a pidfd of the guardian, or of the server */
};

/* serve.c: until every page is in place, or nobody is left to want one. */
__attribute__((noreturn)) void serve(const struct plan *plan, const struct watched *of, struct common *common);

/* guard.c: what server and guardian do when the other one is killed, or the core cannot be read. */
void report_to(const struct plan *plan, int pid);
void report(const char *code, const char *text);
__attribute__((noreturn)) void end_program(int pidfd, int pid, struct common *common);
__attribute__((noreturn)) void guard(const struct watched *of, struct common *common);

#endif
