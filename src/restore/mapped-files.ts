/**
 * Files without a name that the program had mapped: their bytes stand in the core as the pages of the mappings that
 * showed them. memfd.ts and deleted-file.ts make the files, and put these bytes in before anybody maps them.
 */
import { readPadded, writeAll } from "../file-bytes.js";
import type { FileDescription, FileState, MappedFile } from "../state/fd.js";
import type { PageRun } from "../state/pages.js";
import type { Vma } from "../state/vma.js";
import type { PlacedContent } from "./content.js";

const CHUNK_BYTES = 1 << 20;

/** Bytes in the core, and where in a file they belong. */
export interface Piece {
  readonly fileOffset: number;
  readonly at: number;
  readonly lengthBytes: number;
  /** The core that it is in, in a tree; else the one that is asked for. */
  readonly coreFd?: number;
}

export interface Memory {
  readonly vmas: readonly Vma[];
  readonly runs: readonly PageRun[];
}

/** What a shared mapping of it showed, by file (`fileKey`). */
export type Pieces = ReadonlyMap<string, readonly Piece[]>;

/** Of the files that were mapped: what mappings showed, and the ids of descriptions that are for mappings alone. */
export interface Mapped {
  readonly pieces: Pieces;
  readonly ids: ReadonlySet<number>;
}

/** What tells files apart: inodes are those of the checkpoint. */
export function fileKey({ dev, ino }: Pick<FileDescription, "dev" | "ino">): string {
  return `${dev} ${ino}`;
}

/** The recorded ones, with what stands in the core of each. */
export function mappedOf({ mapped = [] }: Pick<FileState, "mapped">, memory: Memory): Mapped {
  const all = new Map<string, Piece[]>();
  for (const { file, starts } of mapped) {
    const key = fileKey(file);
    all.set(key, [...(all.get(key) ?? []), ...piecesAt(starts, memory)]);
  }
  return { pieces: all, ids: new Set(mapped.map(({ file }) => file.id)) };
}

/** The same for the members of a tree, each with its core: what one member's core holds is what all map. */
export function mappedOfAll(
  members: readonly { readonly state: Memory & { readonly files: FileState }; readonly coreFd: number }[],
): { readonly inMemory: Mapped; readonly files: readonly FileDescription[] } {
  const pieces = new Map<string, Piece[]>();
  const files = new Map<number, FileDescription>();
  for (const { state, coreFd } of members) {
    for (const [key, own] of mappedOf(state.files, state).pieces) {
      pieces.set(key, [...(pieces.get(key) ?? []), ...own.map((piece) => ({ ...piece, coreFd }))]);
    }
    for (const { file } of state.files.mapped ?? []) {
      const content: PlacedContent | null = file.content && { ...file.content, coreFd };
      if (content !== null || !files.has(file.id)) files.set(file.id, { ...file, content });
    }
  }
  return { inMemory: { pieces, ids: new Set(files.keys()) }, files: [...files.values()] };
}

/** What the shared mappings that start there showed of their object. */
export function piecesAt(starts: readonly bigint[], { vmas, runs }: Memory): Piece[] {
  const showing = vmas.filter(({ start, kind }) => kind === "shared-file" && starts.includes(start));
  return showing.flatMap(({ start, end, offset }) =>
    runs
      .filter(({ address }) => address >= start && address < end)
      .map(({ address, lengthBytes, fileOffset }) => ({
        fileOffset,
        at: Number(offset + address - start),
        lengthBytes,
      })),
  );
}

/** Writes them, nothing past the file's end; only what differs from what is there. */
export function writePieces(
  coreFd: number,
  { fd, sizeBytes }: { readonly fd: number; readonly sizeBytes: number },
  pieces: readonly Piece[],
): void {
  for (const { fileOffset, at, lengthBytes, ...piece } of pieces) {
    const inFile = Math.min(lengthBytes, sizeBytes - at);
    for (let done = 0; done < inFile; done += CHUNK_BYTES) {
      const bytes = readPadded(
        piece.coreFd ?? coreFd,
        Math.min(CHUNK_BYTES, inFile - done),
        fileOffset + done,
      );
      if (bytes.equals(readPadded(fd, bytes.length, at + done))) continue;
      writeAll(fd, bytes, at + done);
    }
  }
}

/** The file that a mapping maps. */
export function mappedFileOf({ mapped = [] }: Pick<FileState, "mapped">, vma: Vma): MappedFile | null {
  return mapped.find(({ starts }) => starts.includes(vma.start)) ?? null;
}
