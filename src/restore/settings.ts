/** What the kernel keeps for a process besides memory and descriptors, put back from inside the newborn. */
import type { ProcessState } from "../state/process.js";
import type { RemoteCall } from "../tracee/remote.js";
import { Arguments } from "./arguments.js";
import { isTick } from "./posix-timers.js";
import type { Workshop } from "./workshop.js";

const PR = {
  setDeathSignal: 1,
  setDumpable: 4,
  setName: 15,
  setMm: 35,
  setSubreaper: 36,
  setThpDisable: 41,
} as const;
const PR_SET_MM_MAP = 14;
const MM_MAP_BYTES = 104;
const SIGINFO_SIGNAL_AT = 0;
const RLIMIT_NOFILE = 7;

/** Room for the arguments of everything that is put back, in bytes. */
export function settingsBytes(state: ProcessState): number {
  const queued =
    state.signals.pending.length + state.threads.reduce((sum, one) => sum + one.pending.length, 0);
  const watches = state.files.descriptions.reduce((sum, one) => sum + (one.watches?.length ?? 0), 0);
  return 65_536 + state.auxv.length + queued * 128 + watches * 16;
}

/** Bounds of code, data, heap, stack, arguments and environment, and the auxiliary vector, all at once. */
export function putMm(workshop: Workshop, state: ProcessState): void {
  const { mm } = state;
  const args = new Arguments(workshop.data);
  const auxv = args.put(state.auxv);
  const order = ["startCode", "endCode", "startData", "endData", "startBrk", "brk", "startStack"] as const;
  const rest = ["argStart", "argEnd", "envStart", "envEnd"] as const;
  const words = [...order, ...rest].map((name) => mm[name]);
  // struct prctl_mm_map: … auxv, auxv_size and exe_fd as two 32-bit numbers; -1 keeps the executable.
  const sizes = (0xffffffffn << 32n) | BigInt(state.auxv.length);
  const map = args.words(...words, auxv, sizes);
  workshop.run(
    "set the bounds of its memory",
    [{ name: "prctl", args: [PR.setMm, PR_SET_MM_MAP, map, MM_MAP_BYTES, 0] }],
    args.bytes(),
  );
}

/** Process-wide settings, from dispositions to limits; nothing here lets the program notice yet. */
export function putSettings(workshop: Workshop, state: ProcessState): void {
  const { process: note } = state;
  const args = new Arguments(workshop.data);
  const prctl = (option: number, ...rest: (bigint | number)[]): RemoteCall => ({
    name: "prctl",
    args: [option, ...rest],
  });
  const calls: RemoteCall[] = [
    ...state.signals.actions.map(({ signal, handler, flags, restorer, mask }): RemoteCall => {
      const action = args.words(handler, flags, restorer, mask);
      return { name: "rt_sigaction", args: [signal, action, 0, 8] };
    }),
    { name: "umask", args: [note.umask] },
    { name: "personality", args: [note.personality] },
    prctl(PR.setName, args.text(note.comm)),
    prctl(PR.setSubreaper, note.childSubreaper ? 1 : 0),
    prctl(PR.setThpDisable, note.thpDisable ? 1 : 0, note.thpDisableFlags ?? 0, 0, 0),
  ];
  workshop.run("set its signal handlers and settings", calls, args.bytes());
  workshop.newborn.writeProc("oom_score_adj", `${note.oomScoreAdj}`);
  workshop.newborn.writeProc("coredump_filter", `0x${note.coredumpFilter.toString(16)}`);
}

/** What a parent's death does, and whether the program may dump core: last, because they guard us until then. */
export function putGuards(
  workshop: Workshop,
  { process: { parentDeathSignal, dumpable } }: ProcessState,
  { leavesMemory }: { readonly leavesMemory: boolean },
): void {
  // It belongs to the memory. 2 (root only) cannot be set from inside; the kernel gives it by itself where it applies.
  const guarded: RemoteCall = { name: "prctl", args: [PR.setDumpable, dumpable === 1 ? 1 : 0] };
  workshop.run("set its last settings", [
    ...(leavesMemory ? [guarded] : []),
    { name: "prctl", args: [PR.setDeathSignal, parentDeathSignal] },
  ]);
}

/** Resource limits; the one for open files comes after the descriptors are in place. */
export function putLimits(workshop: Workshop, wanted: ProcessState["limits"]): void {
  const args = new Arguments(workshop.data);
  const last = (resource: number) => (resource === RLIMIT_NOFILE ? 1 : 0);
  const limits = [...wanted].sort((a, b) => last(a.resource) - last(b.resource));
  const calls = limits.map(({ resource, soft, hard }): RemoteCall => {
    return { name: "prlimit64", args: [0, resource, args.words(soft, hard), 0] };
  });
  workshop.run("set its limits", calls, args.bytes());
}

/** Signals that waited in the queue of the whole process, in order; all are blocked now. */
export function putPending(workshop: Workshop, state: ProcessState): void {
  const args = new Arguments(workshop.data);
  const own = workshop.newborn.numberOf(workshop.newborn.pid);
  const waiting = state.signals.pending.filter((info) => !isTick(info, state));
  const calls = waiting.map((info): RemoteCall => {
    return { name: "rt_sigqueueinfo", args: [own, signalOf(info), args.put(info)] };
  });
  workshop.run("queue its signals", calls, args.bytes());
}

/** Number of the signal that a siginfo_t tells about. */
export function signalOf(info: Buffer): number {
  return info.readInt32LE(SIGINFO_SIGNAL_AT);
}

/** Starts its interval timers with the time they had left; one whose signal is queued, with a whole period. */
export function putTimers(workshop: Workshop, state: ProcessState): void {
  const args = new Arguments(workshop.data);
  const timeval = (us: bigint) => [us / 1_000_000n, us % 1_000_000n];
  const calls = state.timers.itimers.map(({ which, valueUs, intervalUs }): RemoteCall => {
    const left = valueUs === 0n ? intervalUs : valueUs;
    return { name: "setitimer", args: [which, args.words(...timeval(intervalUs), ...timeval(left)), 0] };
  });
  workshop.run("start its timers", calls, args.bytes());
}
