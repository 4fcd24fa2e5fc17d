/*
 * The system calls worth logging: what touches files, folders, other processes, and the end of the tool.
 * Knows names and argument kinds; the ptrace loop (killat.c) knows when a call begins and ends.
 */
#ifndef CALLS_H
#define CALLS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { CALL_ARGS = 6, PATH_BYTES = 4096 };

/* A call in flight in one thread. */
struct call {
  pid_t tid;
  uint64_t nr;
  uint64_t args[CALL_ARGS];
  char text[2 * PATH_BYTES]; /* JSON of the arguments, read at entry while paths are still there */
};

/* Name of a logged call, or NULL for one that is not logged. */
const char *call_name(uint64_t nr);

/* Renders call->args into call->text; does nothing for calls that are not logged. */
void call_describe(struct call *call);

/* True when an argument that is a path begins with prefix. */
bool call_has_path(const struct call *call, const char *prefix);

/* Writes one JSON line; has_result is false for a call that never returns. */
void call_log(FILE *file, const struct call *call, bool has_result, int64_t result);

#endif
