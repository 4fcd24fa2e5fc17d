/**
 * Where the plain bytes of a core are: in a plain file as they are, or in the compressed frames of a file. A frame is a
 * slice of the data compressed by itself, so that any part is read alone and many at once.
 */
import { digits, int, positive, z } from "./schema.js";

/** Plain bytes of a frame at most (CR_RUN_MAX of native/cr.h). */
export { RUN_BYTES_MAX as FRAME_BYTES_MAX } from "./address.js";

export interface Frame {
  /** The slice of the plain core, in bytes. */
  readonly plainOffset: number;
  readonly plainBytes: number;
  /** Its compressed form in the file. */
  readonly fileOffset: number;
  readonly lengthBytes: number;
  /** CRC32C of the compressed bytes. */
  readonly crc32c: number;
}

/** An open file, and the frames in it that hold the plain bytes; null where it is plain itself. */
export interface PageSource {
  /** Name for messages. */
  readonly path: string;
  readonly fd: number;
  readonly frames: readonly Frame[] | null;
}

/** Note RECORE/FRAMES. Frames are in order of their slices; what is in none is zero. Compact: five values a frame. */
export const framesSchema = z.lazy(() =>
  z.object({
    /** Over the first page of the file and everything behind the frames; these digits count as zeros. */
    crc32c: digits,
    /** The ELF header of the plain core: 64 bytes, base64. */
    header: z.base64(),
    /** Size of the plain core, and where its notes begin: from there on it stands here as it is, at `tailAt`. */
    sizeBytes: positive,
    tailOffset: positive,
    tailAt: positive,
    frames: z.pipe(
      z.array(z.tuple([int, int, int, int, int])),
      z.transform((rows) =>
        rows.map(
          ([plainOffset, plainBytes, fileOffset, lengthBytes, crc32c]): Frame => ({
            plainOffset,
            plainBytes,
            fileOffset,
            lengthBytes,
            crc32c,
          }),
        ),
      ),
    ),
  }),
);
export type FramesNote = z.infer<typeof framesSchema>;
