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
const MREMAP_MAYMOVE_FIXED = 3;
const MADV_GUARD_INSTALL = 102;
const MLOCK_ONFAULT = 1;

/** VmFlags (proc_pid_smaps(5)) to the advice of madvise(2) that sets them; huge-page advice comes before the pages. */
const ADVICE_BEFORE: Readonly<Record<string, number>> = { hg: 14, nh: 15 };
const ADVICE_AFTER: Readonly<Record<string, number>> = { rr: 1, sr: 2, dc: 10, mg: 12, dd: 16, wf: 18 };

/** Moves the vdso (and vvar) to its recorded place and unmaps all else but the workshop. */
export function vacate(workshop: Workshop, vmas: readonly Vma[]): void {
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
  moveVdso(workshop, special, vmas);
}

function moveVdso(
  workshop: Workshop,
  special: readonly (Range & { path: string })[],
  vmas: readonly Vma[],
): void {
  const here = special.find(({ path }) => path === "[vdso]");
  const there = vmas.find(({ path }) => path === "[vdso]");
  if (here === undefined || there === undefined) return;
  const delta = there.start - here.start;
  checkVdsoPlaces(special, vmas, delta);
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
  workshop.run("move the vdso", [...move(0n, detour), ...move(detour, delta)]);
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
  for (const group of sharedObjects(vmas.filter(isOwnObject))) mapSharedObject(workshop, group, vmas);
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
    (vma.flags.includes("gd") ? MAP_GROWSDOWN : 0);
  const offset = isFile ? vma.offset : 0n;
  return {
    name: "mmap",
    args: [vma.start, vma.end - vma.start, initialProt(vma), flags, isFile ? fdOf(vma) : -1, offset],
  };
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
function initialProt(vma: Vma): number {
  const counted = vma.kind !== "shared-file" && vma.flags.includes("ac");
  return counted || vma.kind === "shared-anonymous" ? PROT_READ | PROT_WRITE : protOf(vma);
}

/** True for a mapping the process can write to before `settle`. */
export function isWritableAtFirst(vma: Vma): boolean {
  return (initialProt(vma) & PROT_WRITE) !== 0;
}

/** Shared anonymous memory of which this process maps several parts, or not the beginning. */
function isSharedObject(vma: Vma): boolean {
  return vma.kind === "shared-anonymous";
}

function sharedObjects(vmas: readonly Vma[]): Vma[][] {
  const groups = new Map<string, Vma[]>();
  for (const vma of vmas.filter(isSharedObject)) {
    const key = `${vma.dev}:${vma.ino}`;
    groups.set(key, [...(groups.get(key) ?? []), vma]);
  }
  return [...groups.values()];
}

/** One object, mapped whole at a free place, duplicated part by part (mremap(2) with old size 0), then unmapped. */
function mapSharedObject(workshop: Workshop, parts: readonly Vma[], vmas: readonly Vma[]): void {
  const size = parts.reduce((max, vma) => bigMax(max, vma.offset + vma.end - vma.start), 0n);
  const taken = [
    ...vmas,
    ...vdsoMappings(workshop.newborn.pid),
    { start: workshop.start, end: workshop.end },
  ];
  const whole = freeAddress(taken, Number(size));
  const noReserve = parts.some((vma) => vma.flags.includes("nr")) ? MAP_NORESERVE : 0;
  const flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED | noReserve;
  workshop.run("map its shared memory", [
    { name: "mmap", args: [whole, size, PROT_READ | PROT_WRITE, flags, -1, 0] },
    ...parts.map((vma): RemoteCall => {
      const length = vma.end - vma.start;
      return { name: "mremap", args: [whole + vma.offset, 0, length, MREMAP_MAYMOVE_FIXED, vma.start] };
    }),
    { name: "munmap", args: [whole, size] },
  ]);
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
  workshop.run("lock its memory", mapped.filter((vma) => vma.flags.includes("lo")).map(lockCall));
}

function lockCall(vma: Vma): RemoteCall {
  const range: [Address, bigint] = [vma.start, vma.end - vma.start];
  if (vma.flags.includes("lf")) return { name: "mlock2", args: [...range, MLOCK_ONFAULT] };
  return { name: "mlock", args: range };
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
