/* What is used of libzstd, by the names of this house (zstd.c loads it). */
#ifndef CR_ZSTD_H
#define CR_ZSTD_H

#include <stddef.h>

struct cr_zstd {
  void *(*create_compressor)(void);
  size_t (*free_compressor)(void *context);
  size_t (*compress)(void *context, void *to, size_t room, const void *from, size_t len, int level);
  void *(*create_expander)(void);
  size_t (*free_expander)(void *context);
  size_t (*expand)(void *context, void *to, size_t room, const void *from, size_t len);
  unsigned (*is_error)(size_t result);
};

/* NULL where the library is missing. */
const struct cr_zstd *cr_zstd(void);

#endif
