/** A small ProcessState for checks that look at a part of it; every test changes what it is about. */
import type { ProcessState } from "../../src/state/process.js";
import type { ThreadState } from "../../src/state/thread.js";

const NONE = { real: 0, effective: 0, saved: 0, fs: 0 };

const thread: ThreadState = {
  tid: 100,
  comm: "prog",
  sigmask: 0n,
  pending: [],
  altStack: { sp: 0n, flags: 2, sizeBytes: 0n },
  robustList: { head: 0n, lengthBytes: 0n },
  clearChildTid: 0n,
  rseq: null,
  scheduling: {
    policy: 0,
    flags: 0n,
    nice: 0,
    priority: 0,
    runtimeNs: 0n,
    deadlineNs: 0n,
    periodNs: 0n,
    ioprio: 0,
    timerSlackNs: 50_000n,
  },
  affinity: [0],
  registers: Buffer.alloc(216),
  fpregs: Buffer.alloc(512),
  xstate: Buffer.alloc(0),
};

const HOST: ProcessState["host"] = {
  tool: "recore",
  takenMs: 0,
  hostname: "host",
  kernel: "6.18.0",
  bootId: "",
  xstateComponents: 0n,
  vdsoCrc32c: null,
  mode: "stop",
};

/** The thread of `processState`, with changes. */
export function threadState(changes: Partial<ThreadState> = {}): ThreadState {
  return { ...thread, ...changes };
}

/** A process without mappings and files that ran /bin/true. */
export function processState(changes: Partial<ProcessState> = {}): ProcessState {
  return {
    process: {
      pid: 100,
      ppid: 1,
      pgid: 100,
      sid: 100,
      comm: "prog",
      args: "prog",
      exe: { path: "/bin/true", dev: "0:0", ino: 0n, sizeBytes: 0, mtimeNs: 0n, buildId: null },
      startTicks: 1n,
      cwd: { path: "/", dev: "0:0", ino: 2n },
      umask: 0o22,
      personality: 0,
      oomScoreAdj: 0,
      coredumpFilter: 0x33,
      dumpable: 1,
      parentDeathSignal: 0,
      childSubreaper: false,
      noNewPrivs: false,
      thpDisable: false,
      mdwe: 0,
      memoryMerge: false,
      membarriers: 0,
      cgroups: [],
      seccomp: [],
      stopSignal: 0,
      leftOut: [],
    },
    host: HOST,
    threads: [thread],
    mm: {
      startCode: 0n,
      endCode: 0n,
      startData: 0n,
      endData: 0n,
      startBrk: 0n,
      brk: 0n,
      startStack: 0n,
      argStart: 0n,
      argEnd: 0n,
      envStart: 0n,
      envEnd: 0n,
    },
    auxv: Buffer.alloc(0),
    vmas: [],
    signals: { actions: [], pending: [] },
    timers: { itimers: [], posix: [] },
    files: { descriptions: [], descriptors: [] },
    limits: [],
    credentials: {
      uid: NONE,
      gid: NONE,
      groups: [],
      capabilities: { inheritable: 0n, permitted: 0n, effective: 0n, bounding: 0n, ambient: 0n },
      securebits: 0,
    },
    runs: [],
    softErrors: [],
    siginfo: null,
    ...changes,
  };
}
