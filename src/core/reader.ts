/**
 * Opens a core file and checks its structure, whoever wrote it. What the notes say is decoded by read-state.ts.
 * A core is untrusted input: everything is bounded, and every failure is a CrError.
 */
import { closeSync, constants, fstatSync, openSync, type Stats } from "node:fs";
import { CrError, isErrno } from "../errors.js";
import { readPadded } from "../file-bytes.js";
import type { PageSource } from "../state/frame.js";
import { type ByteSource, badCore, fileSource } from "./byte-source.js";
import type { ElfHeader, Segment } from "./elf.js";
import { readElfHeader, readSegments } from "./elf-read.js";
import { checkHeaderChecksum } from "./header-checksum.js";
import { type PlacedNote, readNotes } from "./note.js";
import { openPacked, type PlainData, type PlainRange, type Unpack } from "./packed.js";
import { RECORE_OWNER } from "./recore-notes.js";
import { checkSegments } from "./segments.js";
import { NT } from "./standard-notes.js";

/** Who wrote a core. */
export type CoreOrigin = "recore" | "gcore" | "kernel" | "other";

/** An open core whose headers and notes make sense. Close it, or declare it with `using`. */
export interface CoreFile extends ByteSource, Disposable {
  /**
   * The plain core: the file itself or, of a compressed one that was opened with `unpack`, a file that holds what `need`
   * was called for.
   */
  readonly fd: number;
  /** The file itself, and its size; `sizeBytes` is that of the plain core. */
  readonly fileFd: number;
  readonly fileBytes: number;
  /** Where all its plain bytes are. */
  readonly pages: PageSource;
  /** Makes sure that `fd` holds these ranges; CORE_CORRUPT for damaged frames. */
  need(ranges: readonly PlainRange[]): void;
  /** Bytes on disk, without holes. */
  readonly diskBytes: number;
  /** Last change of the file, Unix time in ms. */
  readonly mtimeMs: number;
  readonly header: ElfHeader;
  readonly segments: readonly Segment[];
  readonly notes: readonly PlacedNote[];
  readonly origin: CoreOrigin;
  close(): void;
}

/**
 * Opens the core at `path`, follows links. Throws CORE_UNREADABLE when it cannot be opened, BAD_CORE,
 * CORE_TRUNCATED, and for cores of ours FORMAT_VERSION and CORE_CORRUPT (headers and notes; page data is checked
 * by verify.ts).
 */
export function openCore(path: string, { unpack }: { readonly unpack?: Unpack } = {}): CoreFile {
  const fd = openForReading(path);
  let data: PlainData | null = null;
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) {
      throw badCore(path, `it is ${kindOf(stat)}, a regular file is required`, "name a core file");
    }
    const source = fileSource(fd, path, stat.size);
    const outer = readParts(source);
    const packed = openPacked(source, outer.notes);
    const pages = { path, fd, frames: packed?.frames ?? null };
    data = packed && unpack ? unpack(pages, packed.tailOffset) : null;
    const plain = packed?.plain((range) => readData(data, path, range)) ?? source;
    const { header, segments, notes } = packed ? readParts(plain) : outer;
    const origin = originOf(header, notes);
    if (origin === "recore") checkHeaderChecksum(plain, { segments, notes });
    const file = { fileFd: fd, fileBytes: stat.size, diskBytes: stat.blocks * 512, mtimeMs: stat.mtimeMs };
    return coreFile({ ...plain, ...file, pages, header, segments, notes, origin }, data);
  } catch (error) {
    data?.close();
    closeSync(fd);
    throw asReadError(path, error);
  }
}

/** Headers and notes of a file, or of the plain core that a compressed one shows. */
function readParts(source: ByteSource): Pick<CoreFile, "header" | "segments" | "notes"> {
  const header = readElfHeader(source);
  if (header.type !== "core") {
    const what = `it is ELF of type ${header.type}, a core is required`;
    throw badCore(source.path, what, "name a core, not a program");
  }
  const segments = readSegments(source, header);
  checkSegments(source, segments);
  return { header, segments, notes: readNotes(source, segments) };
}

function readData(data: PlainData | null, path: string, range: PlainRange): Buffer {
  if (data === null)
    throw new RangeError(`the compressed core ${path} was opened without a way to unpack it`);
  data.need([range]);
  return readPadded(data.fd, range.lengthBytes, range.fileOffset);
}

type Made = "close" | "fd" | "need" | typeof Symbol.dispose;

function coreFile(facts: Omit<CoreFile, Made>, data: PlainData | null): CoreFile {
  let isOpen = true;
  const close = () => {
    if (isOpen) closeSync(facts.fileFd);
    if (isOpen) data?.close();
    isOpen = false;
  };
  const isPlain = facts.pages.frames === null;
  return {
    ...facts,
    get fd() {
      if (data === null && !isPlain)
        throw new RangeError(`the compressed core ${facts.path} was not unpacked`);
      return data?.fd ?? facts.fileFd;
    },
    need: (ranges) => data?.need(ranges),
    close,
    [Symbol.dispose]: close,
  };
}

function openForReading(path: string): number {
  try {
    // O_NONBLOCK: a FIFO without writer would hold us up for ever.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw asReadError(path, error);
  }
}

function asReadError(path: string, error: unknown): unknown {
  if (error instanceof CrError || !(error as NodeJS.ErrnoException).code) return error;
  const reason = isErrno(error, "ENOENT") ? "there is no such file" : (error as Error).message;
  return new CrError("CORE_UNREADABLE", `read core ${path}: ${reason}`, {
    hint: isErrno(error, "EACCES") ? "ask its owner for read permission" : "check the path with ls -l",
    data: { path },
    cause: error,
  });
}

function kindOf(stat: Stats): string {
  if (stat.isDirectory()) return "a folder";
  if (stat.isFIFO()) return "a FIFO";
  return stat.isSocket() ? "a socket" : "a device";
}

/** Our notes have our name; gcore (libbfd) writes sections, the kernel none and NT_PRSTATUS first. */
function originOf(header: ElfHeader, notes: readonly PlacedNote[]): CoreOrigin {
  if (notes.some(({ owner }) => owner === RECORE_OWNER)) return "recore";
  const [first, second] = notes;
  const isGdb = header.shnum > 1 && header.shstrndx !== 0;
  if (isGdb) return "gcore";
  return first?.type === NT.PRSTATUS && second?.type === NT.PRPSINFO ? "kernel" : "other";
}
