/**
 * ProcessState: everything Recore knows of a stopped process but its memory. Small readonly plain data: capture
 * makes it, the core writer stores it, the core reader gives it back, a restore rebuilds from it.
 */
import type { Credentials } from "./credentials.js";
import type { Delta } from "./delta.js";
import type { FileState } from "./fd.js";
import type { PageRun } from "./pages.js";
import { bytes, flag, int, natural, positive, text, u64, z } from "./schema.js";
import type { SignalState } from "./signal.js";
import type { SoftError } from "./soft-error.js";
import { spacesSchema } from "./space.js";
import type { ThreadState } from "./thread.js";
import type { TimerState } from "./timer.js";
import type { MmBounds, Vma } from "./vma.js";

/** A file the process depends on, by name and by what tells whether it is still the same. */
export const fileIdentitySchema = z.object({
  path: text,
  dev: text,
  ino: u64,
  sizeBytes: z.number(),
  mtimeNs: u64,
  /** NT_GNU_BUILD_ID in hex, null when the file has none. */
  buildId: z.nullable(text),
});
export type FileIdentity = z.infer<typeof fileIdentitySchema>;

/** Note RECORE/PROCESS: what there is once a process. */
export const processSchema = z.object({
  pid: positive,
  /** Its pid outside of a pid namespace of its own, where it was in one. */
  hostPid: z.optional(positive),
  ppid: natural,
  pgid: natural,
  sid: natural,
  /** The kernel's name for it: 15 bytes of any kind, one character each (Latin-1). */
  comm: text,
  /** First 80 bytes of the command line, blanks between arguments (pr_psargs). */
  args: text,
  exe: fileIdentitySchema,
  /** Start time in clock ticks since boot (proc_pid_stat(5)); with the pid it names a process. */
  startTicks: u64,
  cwd: z.object({ path: text, dev: text, ino: u64 }),
  umask: int,
  personality: int,
  oomScoreAdj: int,
  coredumpFilter: int,
  dumpable: int,
  parentDeathSignal: int,
  childSubreaper: flag,
  noNewPrivs: flag,
  thpDisable: flag,
  /** PR_THP_DISABLE_EXCEPT_ADVISED (2) where only advice gives huge pages; left out in older cores. */
  thpDisableFlags: z.optional(int),
  /** Control groups, one of every hierarchy (cgroups(7)): its controllers, empty for version 2. */
  cgroups: z._default(z.array(z.object({ controllers: text, path: text })), []),
  /** seccomp filters of all threads, the oldest first: classic BPF, 8 bytes an instruction. */
  seccomp: z._default(z.array(bytes), []),
  /** PR_SET_MDWE flags (write-execute denial), PR_SET_MEMORY_MERGE, and MEMBARRIER_CMD_GET_REGISTRATIONS. */
  mdwe: z._default(int, 0),
  memoryMerge: z._default(flag, false),
  membarriers: z._default(int, 0),
  /** Status of the main thread, as wait(2) gives it, where it has ended before the others; it is no thread then. */
  mainEnded: z.optional(natural),
  /** The signal of job control that held it (SIGSTOP, SIGTSTP, …), 0 when it ran. */
  stopSignal: z._default(natural, 0),
  /** Namespaces that are not those of the host; left out where it has none. */
  spaces: z.optional(spacesSchema),
  /** Pid of the root of the process tree it was saved with (tree.ts): to be restored with the others only. */
  tree: z.optional(positive),
  /** What was left out by consent: the words behind `--skip`, which a restore must repeat, and what it was. */
  leftOut: z._default(z.array(z.object({ skip: text, what: text })), []),
});
export type ProcessNote = z.infer<typeof processSchema>;

/** Note RECORE/LIMITS: getrlimit(2), all resources; RLIM_INFINITY is 2^64-1. */
export const limitsSchema = z.array(z.object({ resource: int, soft: u64, hard: u64 }));
export type Rlimit = z.infer<typeof limitsSchema>[number];

/** Note RECORE/HOST: where and by what the checkpoint was taken. */
export const hostSchema = z.object({
  tool: text,
  /** Unix time of the stop in ms. */
  takenMs: z.number(),
  hostname: text,
  kernel: text,
  bootId: text,
  /** XCR0-style mask of the xstate components in use (xstate_bv). */
  xstateComponents: u64,
  /** CRC32C of the vdso's bytes; null when there is no vdso. */
  vdsoCrc32c: z.nullable(int),
  /** Its CPU, with the instruction sets that programs may have chosen to use; none in older cores. */
  cpu: z.optional(z.object({ vendor: text, model: text, features: z.readonly(z.array(text)) })),
  mode: z.enum(["live", "fork", "stop"]),
  /** Clocks in ns at the stop, as the program saw them and as the first time namespace did; none in older cores. */
  clocks: z.optional(
    z.object({ monotonicNs: u64, boottimeNs: u64, hostMonotonicNs: u64, hostBoottimeNs: u64 }),
  ),
});
export type HostNote = z.infer<typeof hostSchema>;

export interface ProcessState {
  readonly process: ProcessNote;
  readonly host: HostNote;
  readonly threads: readonly ThreadState[];
  readonly mm: MmBounds;
  /** NT_AUXV as bytes: pairs of 64-bit words. */
  readonly auxv: Buffer;
  readonly vmas: readonly Vma[];
  readonly signals: SignalState;
  readonly timers: TimerState;
  readonly files: FileState;
  readonly limits: readonly Rlimit[];
  readonly credentials: Credentials;
  readonly runs: readonly PageRun[];
  /** Pages that earlier cores hold; left out in a core that is whole. */
  readonly delta?: Delta;
  readonly softErrors: readonly SoftError[];
  /** NT_SIGINFO: the signal that ended the process in cores of others, null in ours. */
  readonly siginfo: Buffer | null;
}
