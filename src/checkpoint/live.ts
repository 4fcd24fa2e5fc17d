/**
 * Copying a process while it runs: whether that is possible and worth it, a brief stop to begin, rounds until little is
 * left. What cannot be tracked is left for the stop (memory-copy.ts); where tracking itself is not to be trusted, all is.
 */
import { faultPoint } from "../fault.js";
import { hasDirectDescriptor } from "../tracee/descriptors.js";
import { parseSmaps, readMapsText } from "../tracee/maps.js";
import type { Gadgets } from "../tracee/site.js";
import { leftSince, type Round, wantsLastRound, wantsRound } from "./convergence.js";
import type { FreezeOptions } from "./freeze.js";
import type { Look } from "./look.js";
import type { MemoryCopy } from "./memory-copy.js";
import { attempt } from "./target.js";
import { startTracking, whileItStands } from "./tracking.js";

/** A process that holds less is copied sooner than it is prepared for anything else, in bytes. */
const SMALL_BYTES = 8 << 20;

/** What is written between the last round and the stop, at least, in bytes. */
const LEFT_BYTES_MIN = 2 << 20;

/** A process before its stop. */
export interface Candidate {
  readonly pid: number;
  readonly look: Look;
  readonly gadgets: Gadgets | null;
  readonly freezing: FreezeOptions;
  /** There are other members. */
  readonly isOfTree: boolean;
  /** What is read of it beside the copy; waited for before it is stopped. */
  readonly beside: { begin(pid: number): void; wait(pid: number): void };
}

/** What came of it. `why` says why it could not be tracked, for the user; null when it was. */
export interface LiveCopy {
  readonly rounds: number;
  /** What is expected to be left in the stop, in bytes. */
  readonly leftBytes: number;
  /** Whether one more round is worth it at so many ms (performance.now()), after last ones that copied so many bytes each. */
  readonly wantsLast: (copiedBytes: readonly number[], nowMs: number) => boolean;
  readonly why: string | null;
}

/** Bytes of a process's own memory (RssAnon of proc_pid_status(5)). */
export function ownBytes({ facts }: Look): number {
  return Number.parseInt(facts.status.get("RssAnon") ?? "0", 10) * 1024;
}

/** Why a thread of ours cannot work in the process (tracee/helper-thread.ts); null when it can. */
export function whyNoHelper({ facts }: Look): string | null {
  return facts.seccompMode === 0 ? null : "it has seccomp filters";
}

/** True where rounds save nothing: the whole is copied quickly enough. */
export function isSmall(look: Look): boolean {
  return ownBytes(look) < SMALL_BYTES;
}

/** Copies the running process in rounds. Throws TARGET_CHANGED and what freezing throws; `NativeError` of the copy. */
export function copyWhileItRuns(candidate: Candidate, memory: MemoryCopy): LiveCopy {
  const allBytes = ownBytes(candidate.look);
  const nothing = { rounds: 0, leftBytes: allBytes, wantsLast: () => true };
  const why = whyNoHelper(candidate.look);
  const { pid } = candidate;
  const isDirect = why === null && attempt(pid, () => hasDirectDescriptor(pid));
  if (why !== null || isDirect) {
    memory.untrack();
    return { ...nothing, why: why ?? DIRECT };
  }
  const mappings = () => attempt(pid, () => parseSmaps(readMapsText(pid)));
  const tracker = memory.isTracking ? null : startTracking(candidate);
  if (tracker === null && !memory.isTracking) return { ...nothing, why: "its writes cannot be tracked here" };
  memory.track(tracker, (act) => {
    candidate.beside.wait(pid);
    return whileItStands(candidate, () => act());
  });
  candidate.beside.begin(pid);
  const beganMs = performance.now();
  for (let rounds = 1; ; rounds += 1) {
    const { copiedBytes, scannedMs } = memory.round(mappings());
    faultPoint("after-round");
    if (attempt(pid, () => hasDirectDescriptor(pid))) {
      memory.untrack();
      return { ...nothing, rounds, why: DIRECT };
    }
    const leftMs = performance.now() - scannedMs;
    const leftBytes = memory.leftBytes(mappings);
    const round: Round = { rounds, copiedBytes, leftBytes, leftMs };
    if (!wantsRound(round)) {
      const wantsLast: LiveCopy["wantsLast"] = (copied, nowMs) => {
        const left = { leftBytes: leftSince(round, nowMs - scannedMs), allBytes, tookMs: nowMs - beganMs };
        return wantsLastRound(copied, left);
      };
      return { rounds, leftBytes: Math.max(leftBytes, LEFT_BYTES_MIN), wantsLast, why: null };
    }
  }
}

/** The disk writes into memory behind the page table's back while such a read is on its way (open(2), O_DIRECT). */
const DIRECT = "it has a file open with O_DIRECT";
