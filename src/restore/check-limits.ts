/**
 * Whether this caller may give the program its resource limits, out-of-memory score and scheduling: all three
 * can be lowered by anyone and raised only with a capability.
 */
import { getPriority } from "node:os";
import { CrError } from "../errors.js";
import { hasCapability } from "../host/capabilities.js";
import { openFilesMax, ownOomScoreAdj } from "../host/own-bounds.js";
import type { ProcessState, Rlimit } from "../state/process.js";
import { readLimits } from "../tracee/limits.js";

/** What the caller has, and may exceed. */
export interface OwnBounds {
  readonly limits: readonly Rlimit[];
  readonly openFilesMax: bigint;
  readonly oomScoreAdj: number;
  readonly nice: number;
  /** CAP_SYS_RESOURCE. */
  readonly mayRaiseLimits: boolean;
  /** CAP_SYS_NICE. */
  readonly mayRaisePriority: boolean;
}

type Bounded = Pick<ProcessState, "limits" | "threads"> & {
  readonly process: Pick<ProcessState["process"], "oomScoreAdj">;
};

/** RLIM_INFINITY of getrlimit(2). */
const UNLIMITED = 0xffff_ffff_ffff_ffffn;
/** Resources by number (asm-generic/resource.h), named as in setrlimit(2) without RLIMIT_. */
// biome-ignore format: in the kernel's order, in rows
const RESOURCE_NAMES = [
  "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING",
  "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
] as const;
const RLIMIT_NOFILE = 7;
const RLIMIT_NICE = 13;
const RLIMIT_RTPRIO = 14;
/** sched(7): the policies that need a real-time priority. */
const REALTIME_POLICIES: Readonly<Record<number, string>> = { 1: "SCHED_FIFO", 2: "SCHED_RR" };
const SCHED_DEADLINE = 6;

/** The bounds of this very process. */
export function ownBounds(): OwnBounds {
  return {
    limits: readLimits(process.pid),
    openFilesMax: openFilesMax(),
    oomScoreAdj: ownOomScoreAdj(),
    nice: getPriority(),
    mayRaiseLimits: hasCapability("CAP_SYS_RESOURCE"),
    mayRaisePriority: hasCapability("CAP_SYS_NICE"),
  };
}

/** Refuses limits and scheduling that the caller cannot give: LIMIT_TOO_LOW, which names the first. */
export function checkLimits(state: Bounded, own: OwnBounds): void {
  for (const wanted of state.limits) checkLimit(wanted, own);
  if (state.process.oomScoreAdj < own.oomScoreAdj && !own.mayRaiseLimits) {
    throw tooLow(
      `its oom_score_adj was ${state.process.oomScoreAdj}, that of cr is ${own.oomScoreAdj} and cannot be lowered`,
      "run cr with CAP_SYS_RESOURCE, or from a process with the lower value",
    );
  }
  if (!own.mayRaisePriority) checkScheduling(state, own);
}

function checkLimit(wanted: Rlimit, own: OwnBounds): void {
  const name = `RLIMIT_${RESOURCE_NAMES[wanted.resource] ?? wanted.resource}`;
  if (wanted.resource === RLIMIT_NOFILE && wanted.hard > own.openFilesMax) {
    throw tooLow(
      `its hard ${name} was ${show(wanted.hard)}, fs.nr_open here is ${own.openFilesMax}`,
      `sysctl -w fs.nr_open=${wanted.hard}`,
    );
  }
  const has = hardLimit(own, wanted.resource);
  if (wanted.hard <= has || own.mayRaiseLimits) return;
  throw tooLow(
    `its hard ${name} was ${show(wanted.hard)}, that of cr is ${show(has)}`,
    "run cr with CAP_SYS_RESOURCE, or from a shell that has the higher limit (ulimit -H)",
  );
}

/** setpriority(2), sched(7): RLIMIT_NICE allows nice values down to 20 minus the limit. */
function checkScheduling(state: Bounded, own: OwnBounds): void {
  for (const { scheduling } of state.threads) {
    const lowest = Math.min(own.nice, 20 - Number(min(hardLimit(own, RLIMIT_NICE), 40n)));
    const realtime = REALTIME_POLICIES[scheduling.policy];
    if (scheduling.policy === SCHED_DEADLINE) {
      throw tooLow("it ran under SCHED_DEADLINE, which cr may not set", "run cr with CAP_SYS_NICE");
    }
    if (realtime && BigInt(scheduling.priority) > hardLimit(own, RLIMIT_RTPRIO)) {
      throw tooLow(
        `it ran under ${realtime} with priority ${scheduling.priority}, which cr may not set`,
        "run cr with CAP_SYS_NICE or a higher RLIMIT_RTPRIO",
      );
    }
    if (!realtime && scheduling.nice < lowest) {
      throw tooLow(
        `its nice value was ${scheduling.nice}, the lowest that cr may set is ${lowest}`,
        "run cr with CAP_SYS_NICE or a higher RLIMIT_NICE",
      );
    }
  }
}

function hardLimit(own: OwnBounds, resource: number): bigint {
  return own.limits.find((limit) => limit.resource === resource)?.hard ?? UNLIMITED;
}

function tooLow(found: string, hint: string): CrError {
  return new CrError("LIMIT_TOO_LOW", `restore the program: ${found}`, { hint });
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function show(limit: bigint): string {
  return limit === UNLIMITED ? "unlimited" : String(limit);
}
