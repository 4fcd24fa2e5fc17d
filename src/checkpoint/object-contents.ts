/**
 * The bytes of objects without a name behind mappings. What a shared mapping shows stands in the core as its pages, so
 * that debuggers see it, once: other mappings of the same part have none, and what no mapping shows is copied here.
 */
import { closeSync, readSync } from "node:fs";
import type { Alias } from "../core/alias-segments.js";
import { writeAll } from "../file-bytes.js";
import { PAGE_BYTES, RUN_BYTES_MAX } from "../state/address.js";
import type { FileState, MappedFile } from "../state/fd.js";
import { isNameless, objectKey } from "../state/object-mapping.js";
import type { PageRun } from "../state/pages.js";
import type { Segment } from "../state/segment.js";
import type { Vma } from "../state/vma.js";
import { dataSpans } from "../tracee/data-spans.js";
import type { OpenDescriptor } from "../tracee/descriptors.js";
import { checksums, type Place } from "./contents.js";
import { openMapped } from "./mapped-objects.js";
import { unsupportedState } from "./refusal.js";

interface Span {
  readonly start: number;
  readonly end: number;
}

/** True for the shared mappings of objects whose pages go into the core: the first one of each part. */
export function showsObject(vma: Vma, vmas: readonly Vma[]): boolean {
  if (!isNameless(vma) || vma.kind !== "shared-file") return false;
  const earlier = vmas.slice(0, vmas.indexOf(vma)).filter((one) => {
    return one.kind === "shared-file" && isNameless(one) && objectKey(one) === objectKey(vma);
  });
  const end = vma.offset + vma.end - vma.start;
  return !earlier.some((one) => one.offset < end && one.offset + one.end - one.start > vma.offset);
}

/** Mappings that have no pages in the core because another one shows all that they do. */
export function aliasesOf(vmas: readonly Vma[]): Alias[] {
  const shared = vmas.filter((vma) => isNameless(vma) && vma.kind === "shared-file");
  const showing = shared.filter((vma) => showsObject(vma, vmas));
  return shared.flatMap((vma) => {
    if (showing.includes(vma)) return [];
    const end = vma.offset + vma.end - vma.start;
    const shownBy = showing.find(
      (one) =>
        objectKey(one) === objectKey(vma) &&
        one.offset <= vma.offset &&
        one.offset + one.end - one.start >= end,
    );
    return shownBy === undefined ? [] : [{ vma, shownBy }];
  });
}

/** Not to be opened: what is mapped of it stands in the core as memory, and there is no more to be had. */
function isUnseen(vma: Vma): boolean {
  return vma.file === null;
}

export interface Memory {
  readonly vmas: readonly Vma[];
  readonly runs: readonly Pick<PageRun, "address" | "lengthBytes">[];
  readonly open: readonly OpenDescriptor[];
}

/** Copies what no mapping shows to `core.fileOffset` on; the files with `content`, and the offset behind the last one. */
export function copyObjects(
  pid: number,
  { files, memory }: { readonly files: FileState; readonly memory: Memory },
  core: Place,
): { readonly files: FileState; readonly end: number } {
  const { vmas, open } = memory;
  let end = core.fileOffset;
  const done = new Set<string>();
  const copy = (starts: readonly bigint[], sizeBytes: number): Segment["content"] => {
    const vma = vmas.find(({ start }) => starts.includes(start));
    if (vma === undefined || isUnseen(vma) || done.has(objectKey(vma))) return null;
    done.add(objectKey(vma));
    const left = gaps(shownSpans(vma, memory), sizeBytes);
    if (left.length === 0) return null;
    const fd = openMapped(vma, { pid, open });
    if (fd === null) throw unreadable(pid, vma);
    const lengthBytes = copySpans(fd, left, { fd: core.fd, fileOffset: end });
    const fileOffset = end;
    end += Math.ceil(lengthBytes / PAGE_BYTES) * PAGE_BYTES;
    return { fileOffset, lengthBytes, crc32c: checksums(core.fd, fileOffset, lengthBytes) };
  };
  const mapped = files.mapped?.map(
    (one): MappedFile => ({
      ...one,
      file: { ...one.file, content: copy(one.starts, one.file.sizeBytes) },
    }),
  );
  const segments = files.segments?.map((one) => ({ ...one, content: copy(one.starts, one.sizeBytes) }));
  return { files: { ...files, ...(mapped && { mapped }), ...(segments && { segments }) }, end };
}

/** Parts of the object that stand in the core as pages of its shared mappings, in order. */
function shownSpans(vma: Vma, { vmas, runs }: Memory): Span[] {
  const showing = vmas.filter((one) => objectKey(one) === objectKey(vma) && showsObject(one, vmas));
  return showing
    .flatMap(({ start, end, offset }) =>
      runs
        .filter(({ address }) => address >= start && address < end)
        .map(({ address, lengthBytes }) => {
          const at = Number(offset + address - start);
          return { start: at, end: at + lengthBytes };
        }),
    )
    .sort((a, b) => a.start - b.start);
}

/** What of [0, sizeBytes) is in none of the spans. */
export function gaps(spans: readonly Span[], sizeBytes: number): Span[] {
  const left: Span[] = [];
  let at = 0;
  for (const { start, end } of spans) {
    if (start > at) left.push({ start: at, end: Math.min(start, sizeBytes) });
    at = Math.max(at, end);
  }
  if (at < sizeBytes) left.push({ start: at, end: sizeBytes });
  return left.filter(({ start, end }) => end > start);
}

/** Copies the data of the spans, each to its own place behind `to`, and closes `from`. Where the last one ends. */
function copySpans(from: number, spans: readonly Span[], to: Place): number {
  const chunk = Buffer.allocUnsafe(RUN_BYTES_MAX);
  let lengthBytes = 0;
  try {
    for (const { fileOffset, lengthBytes: length } of spans.flatMap((span) =>
      dataSpans(from, span.start, span.end),
    )) {
      for (let done = 0; done < length; ) {
        const got = readSync(from, chunk, 0, Math.min(chunk.length, length - done), fileOffset + done);
        if (got === 0) break;
        writeAll(to.fd, chunk.subarray(0, got), to.fileOffset + fileOffset + done);
        done += got;
      }
      lengthBytes = fileOffset + length;
    }
  } finally {
    closeSync(from);
  }
  return lengthBytes;
}

function unreadable(pid: number, vma: Vma) {
  const what = `${vma.path}, of which no mapping shows all and which cr may not open (CAP_CHECKPOINT_RESTORE)`;
  return unsupportedState(pid, [{ kind: "mapping", id: `0x${vma.start.toString(16)}`, what }]);
}
