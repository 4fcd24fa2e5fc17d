/*
 * libzstd, loaded when a core is compressed or a compressed one is read, and not before: cr works without it.
 * The few functions of its stable interface (zstd.h) that one frame at a time needs.
 */
#include "zstd.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct cr_zstd zstd;
static int missing = 1;

static int find(void *library, const char *name, void *place) {
  void *symbol = dlsym(library, name);
  *(void **)place = symbol;
  return symbol != NULL;
}

static void load(void) {
  void *library = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return;
  missing = !(find(library, "ZSTD_createCCtx", &zstd.create_compressor) &&
              find(library, "ZSTD_freeCCtx", &zstd.free_compressor) &&
              find(library, "ZSTD_compressCCtx", &zstd.compress) &&
              find(library, "ZSTD_createDCtx", &zstd.create_expander) &&
              find(library, "ZSTD_freeDCtx", &zstd.free_expander) &&
              find(library, "ZSTD_decompressDCtx", &zstd.expand) &&
              find(library, "ZSTD_isError", &zstd.is_error));
}

const struct cr_zstd *cr_zstd(void) {
  pthread_once(&once, load);
  return missing ? NULL : &zstd;
}
