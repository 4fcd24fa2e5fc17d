/* Plain bytes of a core, from a plain file or out of its compressed frames. One source a thread. */
#ifndef CR_FRAMES_H
#define CR_FRAMES_H

#include "cr.h"

struct cr_source {
  int32_t fd, count; /* no frames: the file is plain */
  const struct cr_frame *frames;
  int32_t loaded; /* the frame that `plain` holds */
  void *context;
  uint8_t *plain, *packed;
};

int64_t cr_source_open(struct cr_source *source);
void cr_source_close(struct cr_source *source);
/* All of it or -errno: -ENODATA where the file ends, -EBADMSG where a frame is damaged. */
int64_t cr_source_read(struct cr_source *source, uint8_t *data, size_t len, uint64_t off);

int64_t cr_read_whole(int fd, uint8_t *data, size_t len, uint64_t off);
int64_t cr_write_whole(int fd, const uint8_t *data, size_t len, uint64_t off);
/* sparse.c: writes the pages that are not all zero, by flags of cr_copy_out; the bytes written or -errno. */
int64_t cr_write_sparse(int fd, const uint8_t *data, const struct cr_range *to, int flags);

#endif
