/**
 * What only processes themselves can tell: guarded remote calls (interior.ts) run by their threads, several at a time
 * (ask-rounds.ts), at instructions and in memory that were proven safe (ask-site.ts).
 */
import type { Address } from "../state/address.js";
import type { PosixTimer } from "../state/timer.js";
import { type RemoteCall, RemoteInterrupted, runGuarded } from "../tracee/remote.js";
import { guardedSite } from "../tracee/site.js";
import { askInRounds, type Question } from "./ask-rounds.js";
import { askFailed, attemptIn, findSite, type Site } from "./ask-site.js";
import { decodePolicies, type Policies, policyCalls } from "./asked-policies.js";
import { lookAtFilters } from "./filters.js";
import type { Frozen } from "./frozen.js";
import {
  decodeInterior,
  decodeThreadInterior,
  INTERIOR_SCRATCH_BYTES,
  type Interior,
  interiorCalls,
  POLICIES_AT,
  SELDOM_AT,
  signalsToAsk,
  type ThreadInterior,
  threadCalls,
} from "./interior.js";
import { askTimers } from "./posix-timers.js";
import { type Refusal, refuse } from "./refusal.js";
import {
  decodeSeldom,
  refusedHardware,
  refusedOfThread,
  type Seldom,
  seldomCalls,
  seldomThreadCalls,
} from "./seldom.js";

const SIGSTOP = 19;
const PR_GET_DUMPABLE = 3;

/** What the process told: the main thread about all, every thread about itself. */
export interface Answers {
  readonly process: Interior;
  readonly threads: ReadonlyMap<number, ThreadInterior>;
  readonly posixTimers: readonly PosixTimer[];
  /** seccomp filters, the oldest first. */
  readonly filters: readonly Buffer[];
  /** What few programs have. */
  readonly seldom: Seldom;
  /** Of its mappings; null where that is not known. */
  readonly policies: Policies | null;
}

/** Asks one process, as `askAll`. */
export function ask(frozen: Frozen): Answers {
  const [answers] = askAll([frozen]);
  if (answers === undefined) throw new RangeError(`process ${frozen.tracee.pid} was not asked`);
  return answers;
}

/**
 * Asks every thread of every process in a guarded batch of its own, several at a time. Throws UNSUPPORTED_STATE when
 * there is no safe way to, TARGET_CHANGED, REMOTE_CALL.
 */
export function askAll(members: readonly Frozen[]): Answers[] {
  const asked = members.map(prepare);
  const results = askInRounds(asked.map(({ main, others }) => ({ main, others })));
  return asked.map((one) => answersOf(one, results));
}

/** A process, and what its threads are to be asked. */
interface Asked {
  readonly frozen: Frozen;
  readonly site: Site;
  readonly filters: readonly Buffer[];
  readonly signals: readonly number[];
  readonly main: Question;
  readonly others: readonly Question[];
}

function prepare(frozen: Frozen): Asked {
  const { tracee, threads, look } = frozen;
  const { filters, refusals } = lookAtFilters([...threads.keys()], look.facts.seccompMode);
  refuse(tracee.pid, [...refusals, ...attemptIn(tracee, () => refusedHardware([...threads.keys()]))]);
  const site = attemptIn(tracee, () => findSite(frozen));
  const signals = signalsToAsk(look.facts.status);
  const ofThread = (place: Address) => [...seldomThreadCalls(filters), ...threadCalls(place)];
  const ofProcess = (place: Address) => [
    ...interiorCalls(place, signals),
    ...seldomCalls(place + BigInt(SELDOM_AT), filters),
    ...policyCallsOf(frozen, place + BigInt(POLICIES_AT)),
    ...ofThread(place),
  ];
  const question = (tid: number): Question => {
    const scratch = Buffer.alloc(INTERIOR_SCRATCH_BYTES);
    return { frozen, site, tid, callsAt: tid === tracee.pid ? ofProcess : ofThread, scratch };
  };
  const others = [...threads.keys()].filter((tid) => tid !== tracee.pid).map(question);
  return { frozen, site, filters, signals, main: question(tracee.pid), others };
}

function answersOf(asked: Asked, results: ReadonlyMap<Question, readonly bigint[]>): Answers {
  const { frozen, site, filters, signals, main, others } = asked;
  const ofMain = results.get(main) ?? [];
  const process = decodeInterior(ofMain, main.scratch, signals);
  const seldomFrom = interiorCalls(0n, signals).length;
  const ofSeldom = ofMain.slice(seldomFrom, seldomFrom + seldomCalls(0n, filters).length);
  const seldom = decodeSeldom(ofSeldom, main.scratch.subarray(SELDOM_AT), filters);
  const policiesFrom = seldomFrom + ofSeldom.length;
  const ofPolicies = ofMain.slice(policiesFrom, policiesFrom + policyCallsOf(frozen, 0n).length);
  const policies = frozen.policies ?? decodePolicies(ofPolicies, main.scratch.subarray(POLICIES_AT));
  const ofThread = seldomThreadCalls(filters).length + threadCalls(0n).length;
  const threads = new Map<number, ThreadInterior>();
  const kept: Refusal[] = [];
  for (const question of [main, ...others]) {
    const own = results.get(question) ?? [];
    kept.push(...refusedOfThread(question.tid, own.slice(-ofThread)));
    threads.set(question.tid, decodeThreadInterior(own, question.scratch));
  }
  refuse(frozen.tracee.pid, [...seldom.refusals, ...kept]);
  return { process, threads, posixTimers: timersOf(frozen, site), filters, seldom, policies };
}

function policyCallsOf({ policies, look }: Frozen, at: Address): RemoteCall[] {
  return policies === null ? policyCalls(look.facts.vmas, at) : [];
}

/**
 * Takes back a SIGSTOP that waits for a stopped process, as if it had never been sent: any batch of calls ends in its
 * delivery, and what is not handed on is gone.
 */
export function takeBackStop(frozen: Frozen): void {
  const { tracee, threads } = frozen;
  const registers = threads.get(tracee.pid);
  if (registers === undefined) throw new RangeError(`process ${tracee.pid} has no main thread`);
  const { gadgets, place, placeBytes } = attemptIn(tracee, () => findSite(frozen));
  const site = guardedSite(gadgets, place, { placeBytes, registers: registers.registers });
  const calls: RemoteCall[] = [{ name: "prctl", args: [PR_GET_DUMPABLE, 0, 0, 0, 0] }];
  try {
    runGuarded(tracee.pid, site, { calls, scratch: Buffer.alloc(INTERIOR_SCRATCH_BYTES) });
  } catch (error) {
    if (!(error instanceof RemoteInterrupted && error.signal === SIGSTOP))
      throw askFailed(tracee, tracee.pid, error);
  }
}

/** The main thread can ask for the timers of all. */
function timersOf(frozen: Frozen, site: Site): PosixTimer[] {
  const { tracee, look } = frozen;
  return askTimers(look.facts.timers, INTERIOR_SCRATCH_BYTES, (callsAt, scratch) => {
    const question = { frozen, site, tid: tracee.pid, callsAt, scratch };
    return askInRounds([{ main: question, others: [] }]).get(question) ?? [];
  });
}
