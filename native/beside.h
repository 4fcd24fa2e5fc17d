/* beside.c: what the functions share that only begin their work. */
#ifndef CR_BESIDE_H
#define CR_BESIDE_H

#include "cr.h"

/* Begins work(a copy of args) in a new thread, gently in one that lets others come first; a handle for cr_end, or -errno. */
int64_t cr_begin(int64_t (*work)(const void *args), const void *args, size_t len, int gently);

#endif
