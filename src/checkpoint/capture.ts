/** The state of a stopped process as plain data, memory aside: what it says itself and what /proc and ptrace say. */

import { statSync } from "node:fs";
import { hostname } from "node:os";
import { bootId } from "../host/boot.js";
import { membershipOf } from "../host/cgroup-membership.js";
import type { CpuFeatures } from "../host/cpu-features.js";
import { formatDevice } from "../host/device-number.js";
import { kernelRelease } from "../host/kernel.js";
import type { ProcessState } from "../state/process.js";
import type { SoftError } from "../state/soft-error.js";
import type { ThreadState } from "../state/thread.js";
import { hostClocks, readTimeOffsets } from "../tracee/clocks.js";
import { pathInside } from "../tracee/maps.js";
import { credentialsOf, readStatus } from "../tracee/proc-status.js";
import type { ProcessFacts } from "../tracee/process-facts.js";
import { threadName } from "../tracee/tasks.js";
import { readPending, readScheduling, type ThreadRegisters } from "../tracee/thread.js";
import { VERSION } from "../version.js";
import type { Answers } from "./ask.js";
import type { Frozen } from "./frozen.js";
import { withInnerIds } from "./inner-ids.js";
import type { Interior } from "./interior.js";
import type { LeftOut } from "./leave-out.js";
import { lostOfMappings } from "./lost-of-mappings.js";
import { buildIdOf } from "./mappings.js";
import { lostOfTimers } from "./posix-timers.js";
import type { SpacesOf } from "./spaces.js";

/** Byte of the XSAVE area where the mask of components in use stands (Intel SDM volume 1, 13.4.2). */
const XSTATE_BV_AT = 512;
/** Length of pr_psargs in the note NT_PRPSINFO. */
const ARGS_BYTES_MAX = 80;

/** The state without memory runs and without the contents of deleted files. */
export type CapturedState = Omit<ProcessState, "runs">;

type HostFacts = Pick<ProcessState["host"], "hostname" | "kernel" | "bootId">;

/** What does not change while the process stands. */
export function hostFacts(): HostFacts {
  return { hostname: hostname(), kernel: kernelRelease(), bootId: bootId() };
}

/** What is known besides what the stopped process told. */
export interface KnownBefore {
  readonly vdsoCrc32c: number | null;
  readonly cpu: CpuFeatures;
  readonly host: HostFacts;
  readonly leftOut: LeftOut;
  /** The namespaces of each member. */
  readonly spaces: SpacesOf;
}

/** Soft errors of this kind were asked for. */
export const SKIPPED = "skipped";

function softErrorOf({ skip, what }: LeftOut[number]): SoftError {
  return { kind: SKIPPED, id: skip, message: `it was saved without ${what}` };
}

/** Puts the state together; every part has been read in the same stop. */
export function assembleState(frozen: Frozen, answers: Answers, known: KnownBefore): CapturedState {
  const { tracee, threads, look } = frozen;
  const { facts } = look;
  const { actions, brk, itimers } = answers.process;
  const spaces = known.spaces(tracee.pid);
  const inUse = [...threads.values()].map(({ xstate }) => xstate.readBigUInt64LE(XSTATE_BV_AT));
  const state: CapturedState = {
    process: {
      ...processNote(frozen, answers.process),
      seccomp: [...answers.filters],
      leftOut: known.leftOut,
      ...(spaces && { spaces }),
    },
    host: {
      tool: `recore ${VERSION}`,
      takenMs: Date.now(),
      ...known.host,
      xstateComponents: inUse.reduce((all, one) => all | one, answers.seldom.permitted),
      vdsoCrc32c: known.vdsoCrc32c,
      cpu: known.cpu,
      mode: "stop",
      clocks: clocksOf(tracee.pid),
    },
    threads: [...threads].map(([tid, thread]) => threadState(tid, { thread, answers, facts })),
    mm: { ...facts.stat.mm, brk },
    auxv: facts.auxv,
    vmas: facts.vmas,
    signals: { actions, pending: readPending(tracee.pid, "process") },
    timers: { itimers, posix: [...answers.posixTimers] },
    files: look.files,
    limits: [...facts.limits],
    credentials: credentialsOf(facts.status, answers.threads.get(tracee.pid)?.settings.securebits ?? 0),
    softErrors: [
      ...look.softErrors,
      ...lostOfTimers(answers.posixTimers),
      ...lostOfMappings(facts.vmas),
      ...answers.seldom.softErrors,
      ...known.leftOut.map(softErrorOf),
    ],
    siginfo: null,
  };
  return spaces?.pid ? state : withInnerIds(state, facts);
}

function threadState(
  tid: number,
  known: { readonly thread: ThreadRegisters; readonly answers: Answers; readonly facts: ProcessFacts },
): ThreadState {
  const { pid, threadStatus } = known.facts;
  const status = threadStatus.get(tid) ?? readStatus(pid, tid);
  const { affinity, ...scheduling } = readScheduling(tid);
  const interior = known.answers.threads.get(tid);
  if (interior === undefined) throw new RangeError(`thread ${tid} was not asked`);
  const { securebits, ...settings } = interior.settings;
  return {
    ...known.thread,
    tid,
    comm: threadName(pid, tid),
    pending: readPending(tid, "thread"),
    altStack: interior.altStack,
    credentials: credentialsOf(status, securebits),
    settings: { ...settings, noNewPrivs: hasNoNewPrivs(status) },
    clearChildTid: interior.tidAddress,
    scheduling: { ...scheduling, timerSlackNs: interior.timerSlackNs },
    affinity,
  };
}

function hasNoNewPrivs(status: ReadonlyMap<string, string>): boolean {
  return status.get("NoNewPrivs") === "1";
}

function processNote(
  frozen: Frozen,
  { settings, membarriers }: Interior,
): Omit<ProcessState["process"], "seccomp" | "leftOut"> {
  const { facts } = frozen.look;
  const { pid } = frozen.tracee;
  const { stat, cwd } = facts;
  return {
    pid: facts.pid,
    ...(facts.mainEnded !== null && { mainEnded: facts.mainEnded }),
    ppid: stat.ppid,
    pgid: stat.pgid,
    sid: stat.sid,
    comm: stat.comm,
    args: facts.cmdline.replaceAll("\0", " ").trimEnd().slice(0, ARGS_BYTES_MAX),
    exe: exeIdentity(pid, facts),
    startTicks: stat.startTicks,
    cwd: { path: cwd.path, dev: formatDevice(cwd.dev), ino: cwd.ino },
    umask: Number.parseInt(facts.status.get("Umask") ?? "22", 8),
    personality: facts.personality,
    oomScoreAdj: facts.oomScoreAdj,
    coredumpFilter: facts.coredumpFilter,
    dumpable: Number(settings.dumpable),
    parentDeathSignal: Number(settings.deathSignal & 0xffffffffn),
    childSubreaper: (settings.subreaper & 0xffffffffn) !== 0n,
    noNewPrivs: hasNoNewPrivs(facts.status),
    thpDisable: settings.thpDisable !== 0n,
    // The lowest bit says that it is set, the others how.
    thpDisableFlags: Number(settings.thpDisable & ~1n),
    mdwe: Number(settings.mdwe),
    memoryMerge: settings.memoryMerge !== 0n,
    membarriers,
    cgroups: membershipOf(pid),
    stopSignal: frozen.tracee.stopSignal,
  };
}

/** Both readings of one instant, so that their difference is exact. */
function clocksOf(pid: number): ProcessState["host"]["clocks"] {
  const host = hostClocks();
  const added = readTimeOffsets(pid);
  return {
    monotonicNs: host.monotonicNs + added.monotonicNs,
    boottimeNs: host.boottimeNs + added.boottimeNs,
    hostMonotonicNs: host.monotonicNs,
    hostBoottimeNs: host.boottimeNs,
  };
}

function exeIdentity(pid: number, { exe: path, vmas }: ProcessFacts): ProcessState["process"]["exe"] {
  const outside = pathInside(pid, path);
  const stat = statSync(outside, { bigint: true });
  const mapped = vmas.find((vma) => vma.path === path && vma.ino === stat.ino)?.file;
  return {
    path,
    dev: formatDevice(stat.dev),
    ino: stat.ino,
    sizeBytes: Number(stat.size),
    mtimeNs: stat.mtimeNs,
    buildId: mapped ? mapped.buildId : buildIdOf(outside),
  };
}
