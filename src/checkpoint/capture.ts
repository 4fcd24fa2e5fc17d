/** The state of a stopped process as plain data, memory aside: what it says itself and what /proc and ptrace say. */

import { statSync } from "node:fs";
import { hostname } from "node:os";
import { bootId } from "../host/boot.js";
import { membershipOf } from "../host/cgroup-membership.js";
import { formatDevice } from "../host/device-number.js";
import { kernelRelease } from "../host/kernel.js";
import type { ProcessState } from "../state/process.js";
import type { ThreadState } from "../state/thread.js";
import { hostClocks, readTimeOffsets } from "../tracee/clocks.js";
import { pathInside } from "../tracee/maps.js";
import { credentialsOf, readStatus } from "../tracee/proc-status.js";
import { threadName } from "../tracee/tasks.js";
import { readPending, readScheduling, type ThreadRegisters } from "../tracee/thread.js";
import { VERSION } from "../version.js";
import type { Answers, Frozen } from "./ask.js";
import type { Interior } from "./interior.js";
import { buildIdOf } from "./mappings.js";
import { lostOfTimers } from "./posix-timers.js";

/** Byte of the XSAVE area where the mask of components in use stands (Intel SDM volume 1, 13.4.2). */
const XSTATE_BV_AT = 512;
/** Length of pr_psargs in the note NT_PRPSINFO. */
const ARGS_BYTES_MAX = 80;

/** The state without memory runs and without the contents of deleted files. */
export type CapturedState = Omit<ProcessState, "runs">;

/** Puts the state together; every part has been read in the same stop. */
export function assembleState(frozen: Frozen, answers: Answers, vdsoCrc32c: number | null): CapturedState {
  const { tracee, threads, look } = frozen;
  const { facts } = look;
  const { settings, actions, brk, itimers } = answers.process;
  const inUse = [...threads.values()].map(({ xstate }) => xstate.readBigUInt64LE(XSTATE_BV_AT));
  return {
    process: { ...processNote(frozen, answers.process), seccomp: [...answers.filters] },
    host: {
      tool: `recore ${VERSION}`,
      takenMs: Date.now(),
      hostname: hostname(),
      kernel: kernelRelease(),
      bootId: bootId(),
      xstateComponents: inUse.reduce((all, one) => all | one, 0n),
      vdsoCrc32c,
      mode: "stop",
      clocks: clocksOf(tracee.pid),
    },
    threads: [...threads].map(([tid, thread]) => threadState(tracee.pid, tid, { thread, answers })),
    mm: { ...facts.stat.mm, brk },
    auxv: facts.auxv,
    vmas: facts.vmas,
    signals: { actions, pending: readPending(tracee.pid, "process") },
    timers: { itimers, posix: [...answers.posixTimers] },
    files: look.files,
    limits: [...facts.limits],
    credentials: credentialsOf(facts.status, Number(settings.securebits)),
    softErrors: [...look.softErrors, ...lostOfTimers(answers.posixTimers)],
    siginfo: null,
  };
}

function threadState(
  pid: number,
  tid: number,
  known: { readonly thread: ThreadRegisters; readonly answers: Answers },
): ThreadState {
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
    credentials: credentialsOf(readStatus(pid, tid), securebits),
    settings,
    clearChildTid: interior.tidAddress,
    scheduling: { ...scheduling, timerSlackNs: interior.timerSlackNs },
    affinity,
  };
}

function processNote(
  frozen: Frozen,
  { settings, membarriers }: Interior,
): Omit<ProcessState["process"], "seccomp"> {
  const { facts } = frozen.look;
  const { pid } = frozen.tracee;
  const { stat, cwd } = facts;
  return {
    pid,
    ppid: stat.ppid,
    pgid: stat.pgid,
    sid: stat.sid,
    comm: stat.comm,
    args: facts.cmdline.replaceAll("\0", " ").trimEnd().slice(0, ARGS_BYTES_MAX),
    exe: exeIdentity(pid, facts.exe),
    startTicks: stat.startTicks,
    cwd: { path: cwd.path, dev: formatDevice(cwd.dev), ino: cwd.ino },
    umask: Number.parseInt(facts.status.get("Umask") ?? "22", 8),
    personality: facts.personality,
    oomScoreAdj: facts.oomScoreAdj,
    coredumpFilter: facts.coredumpFilter,
    dumpable: Number(settings.dumpable),
    parentDeathSignal: Number(settings.deathSignal & 0xffffffffn),
    childSubreaper: (settings.subreaper & 0xffffffffn) !== 0n,
    noNewPrivs: settings.noNewPrivs !== 0n,
    thpDisable: settings.thpDisable !== 0n,
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

function exeIdentity(pid: number, path: string): ProcessState["process"]["exe"] {
  const outside = pathInside(pid, path);
  const stat = statSync(outside, { bigint: true });
  return {
    path,
    dev: formatDevice(stat.dev),
    ino: stat.ino,
    sizeBytes: Number(stat.size),
    mtimeNs: stat.mtimeNs,
    buildId: buildIdOf(outside),
  };
}
