/** `rebuild`: the recipe inside the newborn, from its entry point to the instant before it is let go. */

import type { Chain } from "../core/chain.js";
import { fitForeignXstate } from "../core/foreign-xstate.js";
import { CrError } from "../errors.js";
import type { PageSource } from "../state/frame.js";
import type { ProcessState } from "../state/process.js";
import type { ThreadState } from "../state/thread.js";
import { readMappings } from "../tracee/maps.js";
import type { Newborn } from "../tracee/newborn.js";
import { credentialsOf, readStatus } from "../tracee/proc-status.js";
import { findSyscall } from "../tracee/site.js";
import { readThread } from "../tracee/thread.js";
import { mapAll, settle, vacate } from "./address-space.js";
import { Arguments } from "./arguments.js";
import { putCredentials } from "./credentials.js";
import { putStatus } from "./description-status.js";
import { closeInherited, placeDescriptors } from "./descriptors.js";
import { endedMain, endingAt, hasEndedMain } from "./ended-main.js";
import type { DescriptorTable } from "./files.js";
import { fillInherited, fillPages } from "./fill.js";
import type { Inheritance } from "./inherit.js";
import { makeInside } from "./inside.js";
import { asInside, spacesAround } from "./inside-users.js";
import { ALONE, type Part } from "./kinship.js";
import type { LazyMemory } from "./lazy.js";
import { describeMemory } from "./memory-attributes.js";
import { callersOpenFiles } from "./open-files-limit.js";
import { isTick, putPosixTimers } from "./posix-timers.js";
import { restartable } from "./restart.js";
import { putFilters } from "./seccomp.js";
import {
  putGuards,
  putLimits,
  putMm,
  putPending,
  putSettings,
  putTimers,
  settingsBytes,
  signalOf,
} from "./settings.js";
import type { OpenedIpc } from "./sysv-ipc.js";
import { putDenial, putPermissions, putRegistrations, putThreadSettings } from "./thread-settings.js";
import { makeThreads, putScheduling, putThread } from "./threads.js";
import { type ForeignVdso, writeDetours } from "./vdso.js";
import { freeAddress, Workshop } from "./workshop.js";

export interface RebuildParts {
  readonly state: ProcessState;
  /** Where the recorded memory is. */
  readonly pages: PageSource;
  /** Earlier cores that hold a part of it. */
  readonly chain?: Chain;
  readonly inheritance: Inheritance;
  readonly prepared: DescriptorTable;
  /** Of each thread, in the order of the recorded ones. */
  readonly affinity: readonly (readonly number[])[];
  /** A core of another tool: it has no settings to put back. */
  readonly foreign: boolean;
  /** Where it stands already: the root of a tree, whose children were made from there. */
  readonly workshop?: Workshop;
  /** Brings memory on demand instead of now. */
  readonly lazy?: Pick<LazyMemory, "begin"> | null;
  /** The program's vdso is another kernel's. */
  readonly vdso: ForeignVdso | null;
  /** What of it is made together with other members of a tree. */
  readonly part?: Part;
  /** System V semaphores and queues that are put back by who used them. */
  readonly ipc?: OpenedIpc;
}

/** Turns a newborn at its entry point into the recorded process, ready to be let go. RESTORE_FAILED. */
export function rebuild(newborn: Newborn, parts: RebuildParts): void {
  const { state, inheritance, prepared, foreign } = parts;
  const threads = threadsOf(state, newborn.pid);
  const affinity = hasEndedMain(state) ? [[], ...parts.affinity] : parts.affinity;
  const workshop = parts.workshop ?? openWorkshop(newborn, state);
  const { part = ALONE } = parts;
  if (part.makesMemory) makeMemory(workshop, parts);
  enterFolder(workshop, inheritance, state);
  if (part.placesFiles) {
    placeDescriptors(workshop, prepared, inheritance.sources);
    makeInside(workshop, prepared, state.process.pid);
  }
  if (part.closesFiles) closeInherited(workshop, inheritance.base);
  putPermissions(workshop, state);
  if (!foreign) putRegistrations(workshop, state);
  putFilters(workshop, state);
  makeThreads(workshop, threads);
  if (part.closesFiles) putStatus(workshop, prepared.restored, state.process.pid);
  if (!foreign) {
    putSettings(workshop, state);
    threads.forEach((thread, index) => {
      putScheduling(workshop, thread, affinity[index] ?? []);
    });
  }
  putLimits(workshop, foreign ? callersOpenFiles() : state.limits);
  for (const thread of threads) putThread(workshop, thread);
  putPending(workshop, state);
  putTimers(workshop, state);
  putPosixTimers(workshop, state);
  parts.ipc?.redo(workshop, state.process.pid);
  if (!foreign) putIdentity(workshop, state, threads);
  putGuards(workshop, state, part);
  if (part.leavesMemory) workshop.leave(syscallIn(newborn, readMappings(newborn.pid)));
  const queued = queuedSignals(state);
  for (const [index, thread] of threads.entries()) {
    const xstate = foreign ? fitted(thread) : thread.xstate;
    const ends = index === 0 && hasEndedMain(state);
    const registers = ends
      ? endingAt(syscallIn(newborn, state.vmas), thread, state)
      : restartable(thread.registers);
    newborn.finish({ ...thread, registers, xstate }, queued);
  }
}

/** All that is there in memory, from the newborn's own to the recorded. */
function makeMemory(workshop: Workshop, parts: RebuildParts): void {
  const { state, pages, chain, inheritance, foreign, vdso, lazy } = parts;
  const { newborn } = workshop;
  vacate(workshop, state.vmas, vdso?.place);
  mapAll(workshop, state.vmas, inheritance.mapped);
  describeMemory(workshop, state.vmas);
  const { runs, heritage } = lazy?.begin(workshop, state) ?? {
    runs: state.runs,
    heritage: chain?.heritage ?? [],
  };
  fillPages(newborn.pid, { ...state, runs, checked: !foreign }, pages);
  fillInherited(newborn.pid, heritage);
  if (vdso) writeDetours(newborn, vdso);
  settle(workshop, state.vmas);
  putMm(workshop, state);
}

function syscallIn({ pid }: Newborn, vmas: ProcessState["vmas"]): bigint {
  const address = findSyscall(pid, vmas);
  if (address !== null) return address;
  const message = "cannot clear up in the program: neither it nor the vdso has a syscall instruction";
  throw new CrError("RESTORE_FAILED", message);
}

/** What takes rights away from the newborn, and what its threads alone are set to. */
function putIdentity(workshop: Workshop, state: ProcessState, threads: readonly ThreadState[]): void {
  const user = spacesAround(state)?.user;
  const actual = asInside(credentialsOf(readStatus(workshop.newborn.pid), 0), user);
  putDenial(workshop, state);
  for (const thread of threads) {
    const { credentials = state.credentials, settings } = thread;
    const recorded = asInside(credentials, user);
    putThreadSettings(workshop, thread);
    const noNewPrivs = settings?.noNewPrivs ?? state.process.noNewPrivs;
    putCredentials(workshop, thread, { recorded, actual, noNewPrivs });
  }
}

/** The threads under the ids they have now: a lone one may have got another pid. */
function threadsOf(state: ProcessState, pid: number): ThreadState[] {
  const [main, ...others] = state.threads;
  if (main === undefined) throw new RangeError("a process without threads");
  const all = hasEndedMain(state)
    ? [endedMain(state, main), ...state.threads]
    : [{ ...main, tid: pid }, ...others];
  return all.map((thread) => ({ ...thread, pending: thread.pending.filter((info) => !isTick(info, state)) }));
}

/** Runs a newborn to its entry point and makes room there that neither its present nor its recorded memory needs. */
export function openWorkshop(newborn: Newborn, state: ProcessState): Workshop {
  const entry = newborn.runToEntry();
  const dataBytes = settingsBytes(state);
  const taken = [...state.vmas, ...readMappings(newborn.pid)];
  return Workshop.open(newborn, entry, { start: freeAddress(taken, dataBytes + 8192), dataBytes });
}

/** Other tools lay the vector registers out in their own way. */
function fitted(thread: ThreadState): Buffer {
  return fitForeignXstate(thread.xstate, readThread(thread.tid).xstate.length);
}

function enterFolder(workshop: Workshop, inheritance: Inheritance, state: ProcessState): void {
  if (spacesAround(state)?.mnt !== undefined) {
    // No way would lead from its own mounts to a folder of ours.
    const args = new Arguments(workshop.data);
    const call = { name: "chdir", args: [args.put(Buffer.from(`${state.process.cwd.path}\0`))] } as const;
    workshop.run("enter its working folder", [call], args.bytes());
    return;
  }
  if (inheritance.cwd === null) return;
  workshop.run("enter its working folder", [{ name: "fchdir", args: [inheritance.cwd] }]);
}

function queuedSignals(state: ProcessState): number[] {
  const infos = [...state.signals.pending, ...state.threads.flatMap(({ pending }) => pending)];
  return [...infos.map((info) => signalOf(info)), ...state.timers.posix.map(({ signal }) => signal)];
}
