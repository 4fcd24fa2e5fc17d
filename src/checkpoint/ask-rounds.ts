/**
 * Who is asked when: a batch of remote calls is mostly waiting for stops, so threads are asked side by side, as many of
 * a process as there is room for in its borrowed memory (ask-site.ts), and of several processes at a time.
 */
import type { Address } from "../state/address.js";
import { Park } from "../tracee/park.js";
import { BATCHES_MAX, type GuardedBatch, type RemoteCall, runSideBySide } from "../tracee/remote.js";
import { guardedSite } from "../tracee/site.js";
import { askFailed, type Site } from "./ask-site.js";
import type { Frozen } from "./frozen.js";
import { THREAD_SCRATCH } from "./interior.js";

/** What one thread is asked. */
export interface Question {
  readonly frozen: Frozen;
  readonly site: Site;
  readonly tid: number;
  /** With result buffers in memory at `place`, laid out as `scratch`. */
  readonly callsAt: (place: Address) => readonly RemoteCall[];
  /** Filled with what the calls left. */
  readonly scratch: Buffer;
}

/** The questions of a process: those to its other threads need no more than THREAD_SCRATCH. */
export interface Questions {
  readonly main: Question;
  readonly others: readonly Question[];
}

type Placed = readonly [Question, GuardedBatch];

/** Asks all; the results of each. Throws TARGET_CHANGED, UNSUPPORTED_STATE, REMOTE_CALL. */
export function askInRounds(processes: readonly Questions[]): ReadonlyMap<Question, readonly bigint[]> {
  const results = new Map<Question, readonly bigint[]>();
  for (let at = 0; at < processes.length; at += BATCHES_MAX) {
    askRound(
      processes.slice(at, at + BATCHES_MAX).map(({ main }) => inPlace(main)),
      results,
    );
  }
  const left = processes.map(({ others }) => [...others]);
  const parked: Park[] = [];
  try {
    for (const { main, others } of processes) if (others.length > 0) parkMain(main, parked);
    while (left.some((others) => others.length > 0)) askRound(nextRound(left), results);
  } finally {
    for (const park of parked) park[Symbol.dispose]();
  }
  return results;
}

/** It is in `parked` as soon as there is something to be put back. */
function parkMain({ frozen: { tracee, threads }, site: { park: at }, tid }: Question, parked: Park[]): void {
  const own = threads.get(tid);
  if (at === null || own === undefined) return;
  try {
    const park = new Park(tid, at, own);
    parked.push(park);
    park.run([{ name: "getpid", args: [] }]);
  } catch (error) {
    throw askFailed(tracee, tid, error);
  }
}

/** Takes those of the next round. */
function nextRound(left: Question[][]): Placed[] {
  const round: Placed[] = [];
  for (const others of left) {
    const rooms = others[0]?.site.rooms ?? [];
    const some = others.splice(0, Math.min(rooms.length, BATCHES_MAX - round.length));
    round.push(...some.map((question, index) => inRoom(question, rooms[index] ?? 0n)));
  }
  return round;
}

/** In all of the place. */
function inPlace(question: Question): Placed {
  const { callsAt, scratch, site } = question;
  const at = { place: site.place, placeBytes: site.placeBytes };
  return [question, batchOf(question, { ...at, calls: callsAt(site.place), scratch })];
}

/** In a part of it that holds the results of a thread alone. */
function inRoom(question: Question, room: Address): Placed {
  const { at, bytes } = THREAD_SCRATCH;
  const calls = question.callsAt(room - BigInt(at));
  const scratch = question.scratch.subarray(at, at + bytes);
  const { roomBytes: placeBytes } = question.site;
  return [question, batchOf(question, { place: room, placeBytes, calls, scratch })];
}

function batchOf(
  { tid, frozen, site: { gadgets } }: Question,
  at: Pick<GuardedBatch, "calls" | "scratch"> & { readonly place: Address; readonly placeBytes: number },
): GuardedBatch {
  const { place, placeBytes, calls, scratch } = at;
  const registers = frozen.threads.get(tid)?.registers;
  if (registers === undefined) throw new RangeError(`thread ${tid} does not stand`);
  return { tid, site: guardedSite(gadgets, place, { placeBytes, registers }), calls, scratch };
}

/** Every signal that came in between is noted before the first failure is thrown. */
function askRound(round: readonly Placed[], results: Map<Question, readonly bigint[]>): void {
  const failures: unknown[] = [];
  const found = runSideBySide(round.map(([, batch]) => batch));
  round.forEach(([question, batch], index) => {
    const one = found[index];
    if (Array.isArray(one)) results.set(question, one);
    else failures.push(askFailed(question.frozen.tracee, batch.tid, one));
  });
  if (failures.length > 0) throw failures[0];
}
