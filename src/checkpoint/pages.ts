/**
 * Which pages go into the core: what the process itself holds. Clean pages of private file mappings stay with
 * their file, absent pages are not stored, and pages that turn out all zero become holes when copied.
 */
import { closeSync, openSync } from "node:fs";
import { isErrno } from "../errors.js";
import { type Address, PAGE_BYTES, pageUp } from "../state/address.js";
import { isNameless } from "../state/object-mapping.js";
import type { Vma } from "../state/vma.js";
import { dataSpans } from "../tracee/data-spans.js";
import { mapFile } from "../tracee/maps.js";
import { readMemory } from "../tracee/memory.js";
import { isNativeError } from "../tracee/native-error.js";
import type { PageSpan, SpanSource } from "../tracee/page-spans.js";
import { showsObject } from "./object-contents.js";
import { isSharedMemory } from "./shared-memory.js";

/** Absent pages between two stored ones that are stored too (as a hole), to keep runs few. */
const GAP_BYTES_MAX = BigInt(8 * PAGE_BYTES);
const ELF_MAGIC = Buffer.from("\x7fELF", "latin1");

/** A range to store, inside one VMA, page-aligned. */
export interface StoredRange {
  readonly address: Address;
  readonly lengthBytes: number;
  readonly sameAsFile: boolean;
}

/** What the process holds, and how to plan where it does not stand any more. */
export interface PlanSource extends SpanSource {
  /** Store no absent pages between others: they may have a place with something old in it. */
  readonly tight?: boolean;
  /** Store unchanged pages of private file mappings, too: a debugger needs no file then. */
  readonly whole?: boolean;
}

/** What holds the pages, asked for as much as is wanted. */
export function sourceOf(held: SpanSource, { isSelfContained = false }): PlanSource {
  return { spansOf: (ranges) => held.spansOf(ranges), whole: isSelfContained };
}

/** What to store of a stopped process, in order of address, and its mappings with guard regions filled in. */
export function planPages(
  pid: number,
  vmas: readonly Vma[],
  source: PlanSource,
): { readonly vmas: Vma[]; readonly stored: StoredRange[] } {
  const stored: StoredRange[] = [];
  const scanned = vmas.filter(({ kind }) => kind !== "special");
  const found = source.spansOf(scanned);
  const spansOf = new Map(scanned.map((vma, index) => [vma, found[index] ?? []]));
  const guarded = vmas.map((vma) => {
    const spans = spansOf.get(vma) ?? [];
    const guards = spans.filter((span) => span.guard).map(({ start, end }): [bigint, bigint] => [start, end]);
    const looked = { pid, vma, spans };
    const own = isNameless(vma) ? objectRanges(looked, vmas) : rangesOf(looked, source.tight);
    stored.push(...(source.whole && vma.kind === "file" ? withUnchanged(looked, own) : own));
    return { ...vma, guards };
  });
  return { vmas: guarded, stored };
}

/** What of a plan is this member's to store: several of a tree may have it (stored-once.ts). To be asked once. */
export type Share = (vmas: readonly Vma[], stored: readonly StoredRange[]) => StoredRange[];

/** The plan with what this member stores of it. */
export function sharedPlan({ vmas, stored }: ReturnType<typeof planPages>, share: Share) {
  return { vmas, stored: share(vmas, stored) };
}

/** Two plans of different mappings as one, in order of address. */
export function together(
  a: { readonly vmas: Vma[]; readonly stored: StoredRange[] },
  b: { readonly vmas: Vma[]; readonly stored: StoredRange[] },
): { vmas: Vma[]; stored: StoredRange[] } {
  const byStart = (x: bigint, y: bigint) => (x < y ? -1 : 1);
  return {
    vmas: [...a.vmas, ...b.vmas].sort((x, y) => byStart(x.start, y.start)),
    stored: [...a.stored, ...b.stored].sort((x, y) => byStart(x.address, y.address)),
  };
}

interface Looked {
  readonly pid: number;
  readonly vma: Vma;
  readonly spans: readonly PageSpan[];
}

function rangesOf({ pid, vma, spans }: Looked, tight = false): StoredRange[] {
  switch (vma.kind) {
    case "special":
      return vma.path === "[vdso]" ? [range(vma.start, vma.end)] : [];
    case "anonymous":
      return betweenGuards(spans).flatMap((part) => join(part, tight ? 0n : GAP_BYTES_MAX));
    case "shared-anonymous":
      return sharedRanges(pid, vma);
    case "shared-file":
      if (isSharedMemory(pid, vma)) return [];
      return vma.flags.includes("mw") || vma.prot[1] === "w" ? wholeFileRange(vma) : [];
    case "file": {
      const own = join(
        spans.filter((span) => !span.guard && !span.file),
        0n,
      );
      return own[0]?.address !== vma.start && beginsAsElf(pid, vma) ? [elfHeader(vma), ...own] : own;
    }
  }
}

/** Of a memfd, deleted file or segment: changed pages of a private mapping, else what the first shared one shows; all when only memory tells. */
function objectRanges({ pid, vma, spans }: Looked, vmas: readonly Vma[]): StoredRange[] {
  const isUnseen = vma.file === null;
  if (vma.kind === "file") return isUnseen ? [range(vma.start, vma.end)] : rangesOf({ pid, vma, spans });
  if (!showsObject(vma, vmas)) return [];
  if (isUnseen) return [range(vma.start, vma.end)];
  const [inFile] = wholeFileRange(vma);
  return inFile === undefined ? [] : sharedRanges(pid, vma, vma.start + BigInt(inFile.lengthBytes));
}

/** Spans with content, cut into parts at guard pages, which cannot be read and must not be bridged. */
function betweenGuards(spans: readonly PageSpan[]): PageSpan[][] {
  const parts: PageSpan[][] = [[]];
  for (const span of spans) {
    if (span.guard) parts.push([]);
    else if (!span.zero) parts.at(-1)?.push(span);
  }
  return parts;
}

/** Joins spans that touch, or lie no further apart than `gap`. */
function join(spans: readonly { start: Address; end: Address }[], gap: bigint): StoredRange[] {
  const ranges: { start: Address; end: Address }[] = [];
  for (const span of spans) {
    const last = ranges.at(-1);
    if (last && span.start - last.end <= gap) last.end = span.end;
    else ranges.push({ start: span.start, end: span.end });
  }
  return ranges.map(({ start, end }) => range(start, end));
}

/** Shared memory has pages that this process never touched: the object behind the mapping knows them. */
function sharedRanges(pid: number, vma: Vma, end = vma.end): StoredRange[] {
  let fd: number;
  try {
    fd = openSync(mapFile(pid, vma), "r");
  } catch (error) {
    // Without CAP_CHECKPOINT_RESTORE the object cannot be opened: then all of it is read.
    if (isErrno(error, "EPERM", "EACCES", "ENOENT")) return [range(vma.start, end)];
    throw error;
  }
  try {
    const offset = Number(vma.offset);
    const spans = dataSpans(fd, offset, offset + Number(end - vma.start)).map((span) => {
      const start = vma.start + BigInt(span.fileOffset - offset);
      return { start, end: pageUp(start + BigInt(span.lengthBytes)) };
    });
    return join(spans, GAP_BYTES_MAX);
  } finally {
    closeSync(fd);
  }
}

/** The part of a file mapping that lies within the file. */
function wholeFileRange(vma: Vma): StoredRange[] {
  if (vma.prot[0] !== "r" && vma.prot[1] !== "w") return [];
  const inFile = BigInt(vma.file?.sizeBytes ?? 0) - vma.offset;
  const end = pageUp(vma.start + (inFile > 0n ? inFile : 0n));
  const stop = end < vma.end ? end : vma.end;
  return stop > vma.start ? [range(vma.start, stop)] : [];
}

/** With what the mapping shows of its file, as far as that reaches and may be read; not across guard pages. */
function withUnchanged({ vma, spans }: Looked, own: readonly StoredRange[]): StoredRange[] {
  const changed = own.filter(({ sameAsFile }) => !sameAsFile);
  const guards = spans.filter(({ guard }) => guard);
  const taken = [
    ...changed.map(({ address, lengthBytes }) => ({ start: address, end: address + BigInt(lengthBytes) })),
    ...guards,
  ].sort((a, b) => (a.start < b.start ? -1 : 1));
  const [shown] = vma.prot[0] === "r" ? wholeFileRange(vma) : [];
  if (shown === undefined) return [...own];
  const end = shown.address + BigInt(shown.lengthBytes);
  const unchanged: StoredRange[] = [];
  let at = shown.address;
  for (const span of [...taken, { start: end, end }]) {
    const stop = span.start < end ? span.start : end;
    if (stop > at) unchanged.push({ address: at, lengthBytes: Number(stop - at), sameAsFile: true });
    if (span.end > at) at = span.end;
  }
  return [...changed, ...unchanged].sort((a, b) => (a.address < b.address ? -1 : 1));
}

/** Debuggers find the build-id of a program or library through the first page of its mapping in the core. */
function elfHeader({ start }: Vma): StoredRange {
  return { address: start, lengthBytes: PAGE_BYTES, sameAsFile: true };
}

/** Of files that have been looked at; one that changed is identified anew (MappedFiles). */
const elfFiles = new WeakMap<NonNullable<Vma["file"]>, boolean>();

function beginsAsElf(pid: number, vma: Vma): boolean {
  if (vma.offset !== 0n || vma.prot[0] !== "r") return false;
  const isElf = (vma.file && elfFiles.get(vma.file)) ?? showsElf(pid, vma);
  if (vma.file) elfFiles.set(vma.file, isElf);
  return isElf;
}

function showsElf(pid: number, vma: Vma): boolean {
  try {
    return readMemory(pid, vma.start, ELF_MAGIC.length).equals(ELF_MAGIC);
  } catch (error) {
    if (isNativeError(error, "EFAULT", "EIO")) return false;
    throw error;
  }
}

function range(start: Address, end: Address): StoredRange {
  return { address: start, lengthBytes: Number(end - start), sameAsFile: false };
}
