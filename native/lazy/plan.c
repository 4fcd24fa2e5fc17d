/* What cr tells at the start, on the line to it: every size is checked, since the tables come from a core. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lazy.h"

#define COUNT_MAX (1u << 26)
#define NAME_MAX_BYTES 4096u

void refuse_start(const char *what, int number) {
  char line[160];
  int length = snprintf(line, sizeof line, "error RESTORE_FAILED %s: %s\n", what, strerror(number));
  if (write(LINE_FD, line, (size_t)length) < 0) _exit(2);
  _exit(1);
}

static void read_exactly(void *to, size_t len) {
  for (size_t done = 0; done < len;) {
    ssize_t n = read(LINE_FD, (char *)to + done, len - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) refuse_start("read what cr tells", n < 0 ? errno : EPIPE);
    done += (size_t)n;
  }
}

static void *read_table(uint32_t count, size_t size) {
  if (count > COUNT_MAX) refuse_start("read a table", E2BIG);
  void *table = calloc((size_t)count + 1, size);
  if (table == NULL) refuse_start("take memory", ENOMEM);
  read_exactly(table, count * size);
  return table;
}

static int by_address(const void *a, const void *b) {
  const struct lazy_run *x = a, *y = b;
  return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Told source by source. */
static void sort_runs(const struct plan *plan) {
  if (plan->head.sources > 1) qsort(plan->runs, plan->head.runs, sizeof *plan->runs, by_address);
}

static void check_runs(const struct plan *plan) {
  uint64_t end = 0;
  for (uint32_t i = 0; i < plan->head.runs; i++) {
    const struct lazy_run *r = &plan->runs[i];
    int is_odd = r->addr % PAGE || r->len % PAGE || r->len == 0 || r->len > CR_RUN_MAX;
    if (is_odd || r->addr < end || r->source >= plan->head.sources) refuse_start("take the runs of the core", EINVAL);
    end = r->addr + r->len;
  }
}

static void read_source(struct plan *plan, uint32_t index) {
  const struct lazy_source *s = &plan->sources[index];
  if (s->name_len > NAME_MAX_BYTES) refuse_start("read what cr tells", EPROTO);
  plan->frames[index] = read_table(s->frames, sizeof **plan->frames);
  plan->names[index] = read_table(s->name_len, 1);
}

struct plan read_plan(void) {
  struct plan plan = {0};
  read_exactly(&plan.head, sizeof plan.head);
  const struct lazy_head *h = &plan.head;
  if (h->magic != LAZY_MAGIC || h->core_len > NAME_MAX_BYTES || h->pace_len > NAME_MAX_BYTES)
    refuse_start("read what cr tells", EPROTO);
  if (h->sources == 0 || h->sources > SOURCES_MAX) refuse_start("take the cores", E2BIG);
  plan.areas = read_table(h->areas, sizeof *plan.areas);
  plan.runs = read_table(h->runs, sizeof *plan.runs);
  plan.sources = read_table(h->sources, sizeof *plan.sources);
  plan.core = read_table(h->core_len, 1);
  plan.pace = read_table(h->pace_len, 1);
  for (uint32_t i = 0; i < h->sources; i++) read_source(&plan, i);
  sort_runs(&plan);
  check_runs(&plan);
  return plan;
}
