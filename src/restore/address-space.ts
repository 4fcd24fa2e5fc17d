/**
 * Replaces a newborn's address space by the recorded one: vdso moved, everything else unmapped, every recorded
 * mapping made, protections and advice set. What is in the pages is fill.ts.
 */
import { CrError } from "../errors.js";
import { type Address, hex } from "../state/address.js";
import { isSegment } from "../state/object-mapping.js";
import type { Vma } from "../state/vma.js";
import { parseSmaps, readMapsText } from "../tracee/maps.js";
import type { RemoteCall } from "../tracee/remote.js";
import { vdsoMappings } from "../tracee/vdso.js";
import { attachSegments } from "./attach-segments.js";
import { lockMemory } from "./memory-attributes.js";
import { placeAbove } from "./vdso.js";
import { freeAddress, type Range, type Workshop } from "./workshop.js";

const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_SHARED = 0x01;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_GROWSDOWN = 0x100;
const MAP_NORESERVE = 0x4000;
const MAP_HUGETLB = 0x4_0000;
/** log2 of the size of huge pages stands from here on in the flags of mmap(2). */
const MAP_HUGE_SHIFT = 26;
const MREMAP_MAYMOVE_FIXED = 3;
const MADV_GUARD_INSTALL = 102;

/** VmFlags (proc_pid_smaps(5)) to the advice of madvise(2) that sets them; huge-page advice comes before the pages. */
const ADVICE_BEFORE: Readonly<Record<string, number>> = { hg: 14, nh: 15 };
const ADVICE_AFTER: Readonly<Record<string, number>> = { rr: 1, sr: 2, dc: 10, mg: 12, dd: 16, wf: 18 };

/**
 * Moves the vdso (and vvar) to its recorded place and unmaps all else but the workshop. Where none is recorded, it
 * goes to a free place, above `beside` if it can.
 */
export function vacate(workshop: Workshop, vmas: readonly Vma[], beside: Range | null = null): void {
  const { pid } = workshop.newborn;
  const now = parseSmaps(readMapsText(pid));
  const special = vdsoMappings(pid);
  const isKept = (range: Range) =>
    (range.start >= workshop.start && range.start < workshop.end) ||
    special.some(({ start }) => start === range.start);
  const old = now.filter((vma) => !isKept(vma));
  workshop.run(
    "clear the address space",
    old.map(({ start, end }): RemoteCall => ({ name: "munmap", args: [start, end - start] })),
  );
  moveVdso(workshop, special, { vmas, beside });
}

function moveVdso(
  workshop: Workshop,
  special: readonly (Range & { path: string })[],
  { vmas, beside }: { readonly vmas: readonly Vma[]; readonly beside: Range | null },
): void {
  const here = special.find(({ path }) => path === "[vdso]");
  const there = vmas.find(({ path }) => path === "[vdso]");
  if (here === undefined) return;
  const delta = there === undefined ? null : there.start - here.start;
  if (delta !== null) checkVdsoPlaces(special, vmas, delta);
  if (delta === 0n) return;
  const first = special.reduce((low, one) => (one.start < low ? one.start : low), here.start);
  const last = special.reduce((high, one) => (one.end > high ? one.end : high), here.end);
  const taken = [...vmas, ...special, { start: workshop.start, end: workshop.end }];
  // By way of a free place, because mremap cannot move a mapping onto itself.
  const detour = freeAddress(taken, Number(last - first)) - first;
  const move = (from: bigint, to: bigint) =>
    special.map(({ start, end }): RemoteCall => {
      const size = end - start;
      return { name: "mremap", args: [start + from, size, size, MREMAP_MAYMOVE_FIXED, start + to] };
    });
  const spare = beside && placeAbove(vmas, beside, last - first);
  const to = delta ?? (spare ?? detour + first) - first;
  workshop.run("move the vdso", [...move(0n, detour), ...(to === detour ? [] : move(detour, to))]);
}

/** The kernel's pages must lie to one another as they did; cores of others only tell where the vdso was. */
function checkVdsoPlaces(
  special: readonly (Range & { path: string })[],
  vmas: readonly Vma[],
  delta: bigint,
): void {
  for (const vma of vmas.filter(({ kind }) => kind === "special")) {
    const match = special.find(({ path }) => path === vma.path);
    if (match && match.start + delta === vma.start && match.end + delta === vma.end) continue;
    throw new CrError(
      "VDSO_MISMATCH",
      `cannot place ${vma.path} at ${hex(vma.start)}: this kernel arranges it otherwise`,
      {
        hint: "restore under the kernel the core was taken on (cr inspect names it)",
      },
    );
  }
}

/** Descriptor inside the newborn for the file of a mapping. */
export type FileDescriptorOf = (vma: Vma) => number;

/** Makes every recorded mapping, writable for now where pages are to be filled in. */
export function mapAll(workshop: Workshop, vmas: readonly Vma[], fdOf: FileDescriptorOf): void {
  // Shared memory that has a descriptor is that of several processes.
  const isOwnObject = (vma: Vma) => isSharedObject(vma) && fdOf(vma) < 0;
  const plain = vmas.filter((vma) => vma.kind !== "special" && !isOwnObject(vma) && !isSegment(vma));
  const calls = plain.map((vma): RemoteCall => mapCall(vma, fdOf));
  workshop.run("map its memory", calls);
  mapSharedObjects(workshop, vmas, isOwnObject);
  attachSegments(workshop, vmas);
  workshop.run("advise its memory", adviceCalls(vmas, ADVICE_BEFORE));
}

function mapCall(vma: Vma, fdOf: FileDescriptorOf): RemoteCall {
  const isFile = vma.kind !== "anonymous";
  const flags =
    (vma.kind === "file" || vma.kind === "anonymous" ? MAP_PRIVATE : MAP_SHARED) |
    MAP_FIXED |
    (isFile ? 0 : MAP_ANONYMOUS) |
    (vma.flags.includes("nr") ? MAP_NORESERVE : 0) |
    (vma.flags.includes("gd") ? MAP_GROWSDOWN : 0) |
    hugeFlags(vma);
  // Huge pages have a file inside the kernel, so that a part of a mapping tells where it was cut.
  const offset = isFile || vma.hugePageBytes !== undefined ? vma.offset : 0n;
  return {
    name: "mmap",
    args: [vma.start, vma.end - vma.start, initialProt(vma), flags, isFile ? fdOf(vma) : -1, offset],
  };
}

function hugeFlags({ hugePageBytes }: Vma): number {
  return hugePageBytes === undefined ? 0 : MAP_HUGETLB | (Math.log2(hugePageBytes) << MAP_HUGE_SHIFT);
}

/** Protection bits of mmap(2) from the letters of maps. */
export function protOf(vma: Vma): number {
  const [r, w, x] = vma.prot;
  return (r === "r" ? PROT_READ : 0) | (w === "w" ? PROT_WRITE : 0) | (x === "x" ? PROT_EXEC : 0);
}

/**
 * Memory that was writable once counts against the commit limit (VmFlag `ac`) and must again; writing through
 * shared memory needs the right to.
 */
export function initialProt(vma: Vma): number {
  const counted = vma.kind !== "shared-file" && vma.flags.includes("ac");
  // Huge pages cannot be written from outside while the program may not (FOLL_FORCE).
  const isHuge = vma.hugePageBytes !== undefined;
  return counted || isHuge || vma.kind === "shared-anonymous" ? PROT_READ | PROT_WRITE : protOf(vma);
}

/** Shared anonymous memory of which this process maps several parts, or not the beginning. */
function isSharedObject(vma: Vma): boolean {
  return vma.kind === "shared-anonymous";
}

function sharedObjects(vmas: readonly Vma[]): Vma[][] {
  const groups = new Map<string, Vma[]>();
  for (const vma of vmas.filter(isSharedObject)) {
    const key = `${vma.dev}:${vma.ino}`;
    const group = groups.get(key);
    if (group) group.push(vma);
    else groups.set(key, [vma]);
  }
  return [...groups.values()];
}

/** Every object is mapped whole at a free place, duplicated part by part (mremap(2) with old size 0), then unmapped. */
function mapSharedObjects(
  workshop: Workshop,
  vmas: readonly Vma[],
  isOwnObject: (vma: Vma) => boolean,
): void {
  const groups = sharedObjects(vmas.filter(isOwnObject));
  if (groups.length === 0) return;
  const sizes = groups.map(sizeOf);
  const taken = [
    ...vmas,
    ...vdsoMappings(workshop.newborn.pid),
    { start: workshop.start, end: workshop.end },
  ];
  const whole = freeAddress(taken, Number(sizes.reduce(bigMax, 0n)));
  const calls = groups.flatMap((parts, index) => objectCalls(parts, whole, sizes[index] ?? 0n));
  workshop.run("map its shared memory", calls);
}

function sizeOf(parts: readonly Vma[]): bigint {
  return parts.reduce((max, vma) => bigMax(max, vma.offset + vma.end - vma.start), 0n);
}

function objectCalls(parts: readonly Vma[], whole: Address, size: bigint): RemoteCall[] {
  const noReserve = parts.some((vma) => vma.flags.includes("nr")) ? MAP_NORESERVE : 0;
  const flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED | noReserve;
  return [
    { name: "mmap", args: [whole, size, PROT_READ | PROT_WRITE, flags, -1, 0] },
    ...parts.map((vma): RemoteCall => {
      const length = vma.end - vma.start;
      return { name: "mremap", args: [whole + vma.offset, 0, length, MREMAP_MAYMOVE_FIXED, vma.start] };
    }),
    { name: "munmap", args: [whole, size] },
  ];
}

/** After the pages are in: final protections, advice, guard regions, locks. */
export function settle(workshop: Workshop, vmas: readonly Vma[]): void {
  const mapped = vmas.filter(({ kind }) => kind !== "special");
  const protect = mapped
    .filter((vma) => initialProt(vma) !== protOf(vma))
    .map((vma): RemoteCall => ({ name: "mprotect", args: [vma.start, vma.end - vma.start, protOf(vma)] }));
  const guards = mapped.flatMap((vma) =>
    vma.guards.map(
      ([start, end]): RemoteCall => ({ name: "madvise", args: [start, end - start, MADV_GUARD_INSTALL] }),
    ),
  );
  workshop.run("protect its memory", [...protect, ...adviceCalls(mapped, ADVICE_AFTER), ...guards]);
  lockMemory(workshop, mapped);
}

function adviceCalls(vmas: readonly Vma[], table: Readonly<Record<string, number>>): RemoteCall[] {
  return vmas
    .filter(({ kind }) => kind !== "special")
    .flatMap((vma) =>
      vma.flags.flatMap((flag): RemoteCall[] => {
        const advice = table[flag];
        return advice === undefined
          ? []
          : [{ name: "madvise", args: [vma.start, vma.end - vma.start, advice] }];
      }),
    );
}

function bigMax(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
