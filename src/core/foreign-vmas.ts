/**
 * Mappings of a core that another tool wrote: its segments, cut where NT_FILE names files, and the named ranges
 * that have no segment (gdb's gcore leaves read-only file mappings out).
 */
import { type Address, hex, RUN_BYTES_MAX, USER_END } from "../state/address.js";
import type { PageRun } from "../state/pages.js";
import type { SoftError } from "../state/soft-error.js";
import type { Vma } from "../state/vma.js";
import type { Segment } from "./elf.js";
import { type MappedObjects, protFromFile } from "./mapped-objects.js";
import type { MappedFile } from "./nt-file.js";

export interface ForeignMappings {
  readonly vmas: Vma[];
  readonly runs: PageRun[];
  readonly softErrors: SoftError[];
}

/**
 * `vdso` is its address, 0 when there is none. The kernel's `[vvar]` pages in front of it are left out: they
 * belong to the running kernel and are placed relative to the vdso.
 */
export function foreignMappings(
  segments: readonly Segment[],
  { objects, vdso }: { objects: MappedObjects; vdso: Address },
): ForeignMappings {
  const { files } = objects;
  const loads = withoutVvar(segments.filter(isUserLoad), { files, vdso });
  const ranges = loads.map((load) => ({ start: load.address, end: endOf(load), prot: load.prot }));
  const shown = ranges.flatMap((range) => cutAtFiles(range, files).map((piece) => vmaOf(piece, vdso)));
  const hidden = files.flatMap((file) => uncovered(file, ranges)).map((file) => hiddenVma(file, objects));
  const vmas = [...shown, ...hidden].sort((a, b) => (a.start < b.start ? -1 : 1));
  return {
    vmas,
    runs: loads.flatMap(runsOf),
    softErrors: vmas.flatMap((vma) => unknownSharing(vma, objects)),
  };
}

interface Piece {
  readonly start: Address;
  readonly end: Address;
  readonly prot: string;
  readonly file: MappedFile | null;
}

function isUserLoad({ kind, address, memoryBytes }: Segment): boolean {
  return kind === "load" && memoryBytes > 0 && address < USER_END;
}

function endOf({ address, memoryBytes }: Segment): Address {
  return address + BigInt(memoryBytes);
}

function withoutVvar(
  loads: readonly Segment[],
  { files, vdso }: { files: readonly MappedFile[]; vdso: Address },
): Segment[] {
  const kept = [...loads];
  const end = kept.findIndex(({ address }) => address === vdso);
  let first = end;
  for (let before = kept[first - 1]; before !== undefined; before = kept[first - 1]) {
    const range = { start: before.address, end: endOf(before) };
    const isAdjacent = range.end === kept[first]?.address;
    if (!isAdjacent || before.prot !== "r--" || overlapping(files, range).length > 0) break;
    first -= 1;
  }
  kept.splice(first, end - first);
  return kept;
}

function cutAtFiles(range: Omit<Piece, "file">, files: readonly MappedFile[]): Piece[] {
  const pieces: Piece[] = [];
  const { prot } = range;
  let at = range.start;
  for (const file of overlapping(files, range)) {
    if (file.start > at) {
      pieces.push({ start: at, end: file.start, prot, file: null });
      at = file.start;
    }
    const isLonger = file.end > range.end;
    const end = isLonger ? range.end : file.end;
    pieces.push({ start: at, end, prot, file });
    at = end;
  }
  if (at < range.end) pieces.push({ start: at, end: range.end, prot, file: null });
  return pieces;
}

/** The parts of a named range that no segment shows. */
function uncovered(file: MappedFile, ranges: readonly Range[]): MappedFile[] {
  const parts: MappedFile[] = [];
  let at = file.start;
  const add = (end: Address) => {
    if (end > at) parts.push({ ...file, start: at, end, offset: file.offset + (at - file.start) });
  };
  for (const range of overlapping(ranges, file)) {
    add(range.start);
    at = range.end;
  }
  add(file.end);
  return parts;
}

interface Range {
  readonly start: Address;
  readonly end: Address;
}

/** Those of sorted ranges that share an address with `range`. */
function overlapping<T extends Range>(ranges: readonly T[], { start, end }: Range): T[] {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle] as T).end <= start) low = middle + 1;
    else high = middle;
  }
  const found: T[] = [];
  for (let at = low; at < ranges.length && (ranges[at] as T).start < end; at += 1)
    found.push(ranges[at] as T);
  return found;
}

function hiddenVma(file: MappedFile, objects: MappedObjects): Vma {
  return vmaOf({ start: file.start, end: file.end, prot: protFromFile(objects, file), file }, 0n);
}

function vmaOf({ start, end, prot, file }: Piece, vdso: Address): Vma {
  const isVdso = start === vdso && vdso !== 0n;
  const isSharedAnonymous = file?.deleted === true && /^\/(dev\/zero|SYSV[0-9a-f]{8})$/.test(file.path);
  const fileKind = isSharedAnonymous ? "shared-anonymous" : "file";
  return {
    start,
    end,
    prot: `${prot}${isSharedAnonymous ? "s" : "p"}`,
    offset: file === null ? 0n : file.offset + (start - file.start),
    path: isVdso ? "[vdso]" : (file?.path ?? ""),
    deleted: file?.deleted ?? false,
    dev: "00:00",
    ino: 0n,
    flags: [],
    kind: isVdso ? "special" : file === null ? "anonymous" : fileKind,
    file: null,
    guards: [],
  };
}

function runsOf({ address, offset, fileBytes }: Segment): PageRun[] {
  const count = Math.ceil(fileBytes / RUN_BYTES_MAX);
  return Array.from({ length: count }, (_, index) => {
    const done = index * RUN_BYTES_MAX;
    return {
      address: address + BigInt(done),
      lengthBytes: Math.min(RUN_BYTES_MAX, fileBytes - done),
      fileOffset: offset + done,
      crc32c: 0,
      sameAsFile: false,
    };
  });
}

/** Loaders map programs and libraries privately; of other files the core does not say. */
function unknownSharing({ kind, prot, path, start }: Vma, objects: MappedObjects): SoftError[] {
  if (kind !== "file" || prot[1] !== "w" || objects.at(path) !== null) return [];
  const message = `the core does not say whether ${path} was mapped shared; it is mapped privately`;
  return [{ kind: "mapping", id: hex(start), message }];
}
