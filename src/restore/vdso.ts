/**
 * The vdso of another kernel (vdso(7)). The program holds addresses inside it, so its pages stay where they were as
 * plain memory, and every function there begins with a jump to this kernel's function of the same name. This
 * kernel's own vdso, with its data pages, lies beside it. The next checkpoint finds ordinary memory and a vdso.
 */
import type { ReadMemory } from "../core/core-memory.js";
import { vdsoFunctions } from "../core/vdso-image.js";
import { CrError } from "../errors.js";
import { type Address, hex, USER_END } from "../state/address.js";
import type { ProcessState } from "../state/process.js";
import { getRegister } from "../state/registers.js";
import type { SoftError } from "../state/soft-error.js";
import type { Vma } from "../state/vma.js";
import type { Newborn } from "../tracee/newborn.js";
import { type OwnVdso, type VdsoMapping, vdsoMappings } from "../tracee/vdso.js";
import { interruptedInside } from "./signal-frames.js";

/** System calls that do the same as a function of the vdso (arch/x86/entry/syscalls/syscall_64.tbl). */
const SYSCALLS: Readonly<Record<string, number>> = {
  __vdso_clock_gettime: 228,
  __vdso_clock_getres: 229,
  __vdso_gettimeofday: 96,
  __vdso_time: 201,
  __vdso_getcpu: 309,
  __vdso_getrandom: 318,
};
/** `mov $target, %rax; jmp *%rax`: rax carries no argument. */
const JUMP_BYTES = 12;

/** Where the program's vdso has a function, and where it leads from now on. */
export interface Detour {
  readonly at: Address;
  /** From the start of this kernel's vdso; null for `syscall`. */
  readonly offset: number | null;
  readonly syscall: number;
}

/** What becomes of a program whose vdso is not this kernel's. */
export interface ForeignVdso {
  /** Its mappings, with the recorded vdso as plain memory and without the data pages of a kernel that is gone. */
  readonly vmas: readonly Vma[];
  /** Where the recorded vdso is. */
  readonly place: VdsoMapping;
  readonly detours: readonly Detour[];
  readonly softErrors: readonly SoftError[];
}

/**
 * Null when the program's vdso is this kernel's, byte for byte and in the same arrangement, or it had none. Throws
 * VDSO_MISMATCH when a function has no counterpart here, or a thread stands inside one.
 */
export function planForeignVdso(
  state: ProcessState,
  { own, memory }: { readonly own: OwnVdso | null; readonly memory: ReadMemory },
): ForeignVdso | null {
  const recorded = state.vmas.find(({ path }) => path === "[vdso]");
  const { vdsoCrc32c } = state.host;
  if (recorded === undefined || vdsoCrc32c === null) return null;
  if (vdsoCrc32c === own?.crc32c && isArrangedSo(state.vmas, recorded, own.mappings)) return null;
  const image = memory(recorded.start, Number(recorded.end - recorded.start));
  const functions = image && vdsoFunctions(image);
  if (!functions) throw mismatch(state, "its functions cannot be read");
  for (const thread of state.threads) {
    const rip = getRegister(thread.registers, "rip");
    const inside = rip >= recorded.start && rip < recorded.end;
    if (inside) throw mismatch(state, `thread ${thread.tid} stood inside it, at ${hex(rip)}`);
    if (interruptedInside(thread, { state, memory, range: recorded })) {
      throw mismatch(state, `a signal handler of thread ${thread.tid} interrupted it`);
    }
  }
  const here = own === null ? [] : (vdsoFunctions(own.image) ?? []);
  const detours = functions.map(({ names, offset, roomBytes }): Detour => {
    const same = here.find((candidate) => candidate.names.some((name) => names.includes(name)));
    const syscall = names.map((name) => SYSCALLS[name]).find((nr) => nr !== undefined);
    if (roomBytes < JUMP_BYTES) throw mismatch(state, `${names[0]} has no room for a jump`);
    if (same === undefined && syscall === undefined) throw mismatch(state, `this kernel has no ${names[0]}`);
    return { at: recorded.start + BigInt(offset), offset: same?.offset ?? null, syscall: syscall ?? -1 };
  });
  const message = `its vdso came from ${kernelOf(state)}: the functions there lead to this kernel's`;
  return {
    vmas: state.vmas.flatMap((vma) =>
      vma === recorded ? [asMemory(vma)] : vma.kind === "special" ? [] : [vma],
    ),
    place: recorded,
    detours,
    softErrors: [{ kind: "vdso", id: "", message }],
  };
}

/** Makes every recorded function lead to this kernel's, once the recorded pages are in place. */
export function writeDetours(newborn: Newborn, { detours }: ForeignVdso): void {
  const own = vdsoMappings(newborn.pid).find(({ path }) => path === "[vdso]");
  for (const { at, offset, syscall } of detours) {
    newborn.write(
      at,
      own === undefined || offset === null ? callOf(syscall) : jumpTo(own.start + BigInt(offset)),
    );
  }
}

/**
 * A free place for `sizeBytes` of the kernel's own pages: right above what is recorded of the vdso, where a kernel
 * puts them too and neither heap nor stack grows; null when something is in the way.
 */
export function placeAbove(vmas: readonly Vma[], recorded: VdsoMapping, sizeBytes: bigint): Address | null {
  const start = recorded.end + 0x1000n;
  const end = start + sizeBytes + 0x1000n;
  return end > USER_END || vmas.some((vma) => vma.start < end && vma.end > start) ? null : start;
}

function jumpTo(target: Address): Buffer {
  const code = Buffer.from([0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0]);
  code.writeBigUInt64LE(target, 2);
  return code;
}

/** `mov $nr, %eax; syscall; ret`: the same arguments, the same results (syscall(2)). */
function callOf(nr: number): Buffer {
  const code = Buffer.from([0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0xc3]);
  code.writeInt32LE(nr, 1);
  return code;
}

/** The data pages must lie to the vdso as they did; cores of others only tell where the vdso was. */
function isArrangedSo(vmas: readonly Vma[], recorded: Vma, own: OwnVdso["mappings"]): boolean {
  const here = own.find(({ path }) => path === "[vdso]");
  if (here === undefined) return false;
  const delta = recorded.start - here.start;
  return vmas
    .filter(({ kind }) => kind === "special")
    .every((vma) =>
      own.some(
        ({ path, start, end }) => path === vma.path && start + delta === vma.start && end + delta === vma.end,
      ),
    );
}

function asMemory(vma: Vma): Vma {
  return { ...vma, kind: "anonymous", path: "", flags: ["rd", "ex", "mr", "mw", "me"] };
}

/** Cores of other tools do not say under which kernel they were taken. */
function kernelOf({ host: { kernel } }: ProcessState): string {
  return kernel === "" ? "the kernel the core was taken under" : `Linux ${kernel}`;
}

function mismatch(state: ProcessState, why: string): CrError {
  const other = kernelOf(state);
  return new CrError(
    "VDSO_MISMATCH",
    `restore the program: its vdso came from ${other}, and it cannot be led to this kernel's: ${why}`,
    {
      hint: `restore another checkpoint of it, or this one under ${other}`,
      data: { kernel: state.host.kernel },
    },
  );
}
