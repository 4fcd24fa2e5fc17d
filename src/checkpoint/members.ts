/** The members of a tree while they stand, one after the other: stopped, asked, copied into a core each. */
import { CrError } from "../errors.js";
import { objectOf } from "../tracee/maps.js";
import type { Gadgets } from "../tracee/site.js";
import type { Tracee } from "../tracee/tracee.js";
import { type Answers, askAll } from "./ask.js";
import { assembleState, type CapturedState, type KnownBefore, SKIPPED } from "./capture.js";
import { type Dump, unkeptConnections } from "./connections.js";
import type { Copies } from "./copies.js";
import { CopyGap } from "./copy-gap.js";
import { type Copied, copyOut } from "./copy-out.js";
import type { Family } from "./family.js";
import { changed, freeze, type Stopped } from "./freeze.js";
import type { Frozen } from "./frozen.js";
import type { LeftOutOfTree } from "./leave-out-of-tree.js";
import type { TreeLook } from "./look.js";
import type { MemoryCopy } from "./memory-copy.js";
import type { PoliciesOf } from "./memory-policies.js";
import { type Mode, makeFork, NO_COPY, unavailable } from "./mode.js";
import type { Phases } from "./phases.js";
import type { Sockets } from "./queues.js";
import type { Refusal } from "./refusal.js";
import { refusedContents } from "./refused-contents.js";
import { refusedInterior } from "./refused-interior.js";
import type { RestartLedger } from "./restarted-calls.js";
import { lodgers } from "./shares.js";
import { StoredOnce } from "./stored-once.js";
import { captureIpc } from "./sysv-ipc.js";
import { sharedMemory } from "./tree-manifest.js";

interface Stopping {
  readonly timeoutMs: number;
  readonly ledger: RestartLedger;
}

/** Stops all, then reads the registers of each. */
export function freezeAll(
  family: Family,
  { timeoutMs, ledger }: Stopping,
): (Stopped & { readonly tracee: Tracee })[] {
  family.stop(timeoutMs);
  const starts = new Map(family.relatives.map(({ pid, stat }) => [pid, stat.startTicks]));
  return family.tracees.map((tracee) => {
    const key = `${tracee.pid}:${starts.get(tracee.pid)}`;
    return { tracee, ...freeze(tracee, { timeoutMs, ledger, key }) };
  });
}

/** What is known of a member before it is asked. */
export function frozenOf(
  { looks }: TreeLook,
  {
    tracee,
    threads,
    gadgets,
    policies,
  }: Pick<Frozen, "tracee" | "threads"> & {
    readonly gadgets: ReadonlyMap<number, Gadgets | null>;
    readonly policies: PoliciesOf;
  },
): Frozen {
  const look = looks.get(tracee.pid);
  if (look === undefined) throw changed(tracee.pid, null);
  const { pid } = tracee;
  return { tracee, threads, look, gadgets: gadgets.get(pid) ?? null, policies: policies.get(pid) ?? null };
}

/** A member that has told what only it can tell. */
export interface Asked {
  readonly frozen: Frozen;
  readonly answers: Answers;
}

/** Asks all of them, but of those in one memory, where all are asked in one place, one after the other. Throws as `askAll`. */
export function askMembers(members: readonly Frozen[], { sharers }: TreeLook): Asked[] {
  const later = new Set(lodgers(sharers));
  const isLater = ({ tracee }: Frozen) => later.has(tracee.pid);
  const first = members.filter((frozen) => !isLater(frozen));
  const rounds = [first, ...members.filter(isLater).map((frozen) => [frozen])];
  const answers = new Map<Frozen, Answers>();
  for (const round of rounds) {
    const told = askAll(round);
    round.forEach((frozen, index) => void answers.set(frozen, told[index] as Answers));
  }
  return members.map((frozen) => ({ frozen, answers: answers.get(frozen) as Answers }));
}

/** What of a member has to be refused once it has told; kept apart by pid in a tree. */
export function refusedInside(
  root: number,
  { frozen, answers, sockets }: Asked & { readonly sockets: Sockets },
): Refusal[] {
  const { pid } = frozen.tracee;
  const found = [
    ...refusedInterior(frozen.look, answers.process),
    ...refusedContents(pid, frozen.look.files, sockets),
  ];
  return pid === root ? found : found.map((refusal) => ({ ...refusal, pid }));
}

interface Copying {
  readonly asked: readonly Asked[];
  readonly look: TreeLook;
  readonly known: Omit<KnownBefore, "leftOut"> & { readonly leftOut: LeftOutOfTree };
  readonly copies: Copies;
  readonly phases: Phases;
  readonly sockets: Sockets;
  readonly connections: ReadonlyMap<bigint, Dump>;
  readonly options: {
    readonly after?: "continue" | "kill" | "stop";
    readonly files?: "snapshot";
    readonly strict?: boolean;
    readonly mode?: Mode;
  };
}

/** Copies one member after the other; what several hold goes into the core of the first. */
export function copyAll(
  root: number,
  { asked, look, known, copies, phases, sockets, connections, options }: Copying,
): Copied[] {
  const isLone = look.relatives.length === 1;
  const captured = asked.map(({ frozen, answers }) => {
    const { pid } = frozen.tracee;
    const seen = { ...frozen, look: look.looks.get(pid) ?? frozen.look };
    const leftOut = known.leftOut.flatMap((one) =>
      one.pid === pid ? [{ skip: one.skip, what: one.what }] : [],
    );
    const assembled = assembleState(seen, answers, { ...known, leftOut });
    const unkept = options.after === "kill" ? [] : unkeptConnections(assembled.files.descriptions);
    const state = { ...assembled, softErrors: [...assembled.softErrors, ...unkept] };
    return isLone ? state : { ...state, process: { ...state.process, tree: root } };
  });
  refuseSoft(root, captured, options.strict ?? false);
  const ids = new Map(
    asked.map(({ frozen: { look } }, index) => [look.facts.pid, captured[index]?.process.pid ?? 0]),
  );
  const ipc = captureIpc(look.ipc, ids);
  phases.end("state");
  const once = new StoredOnce(sharedMemory(look.looks).map(objectOf), lodgers(look.sharers));
  return captured.map((state, index) => {
    const { frozen, answers } = asked[index] as Asked;
    const { pid } = frozen.tracee;
    const { output, memory, begun } = copies.of(pid, state.auxv);
    if (!isLone) requireOwn(memory);
    const fork = begun.mode === "fork" && isLone ? makeFork(frozen, answers) : null;
    if (fork === null && options.mode === "fork") throw unavailable(pid, "fork", NO_COPY);
    const isWhole = begun.mode === "fork" ? fork === null : !memory.isTracking;
    const mode = isWhole ? "stop" : begun.mode;
    const copied = copyOut(
      pid,
      {
        ...state,
        host: { ...state.host, mode },
        files: index === 0 && ipc ? { ...state.files, ipc } : state.files,
      },
      {
        open: frozen.look.facts.descriptors,
        output,
        memory,
        fork,
        phases,
        once,
        sockets,
        connections,
        policies: answers.policies,
        unreadInputBytes: answers.process.unreadInputBytes,
        snapshot: options.files === "snapshot",
      },
    );
    phases.end("copy");
    return copied;
  });
}

/** A tree is saved whole, also one that a lone process became while it was copied. */
function requireOwn({ keeping }: MemoryCopy): void {
  if (keeping.base !== null) throw new CopyGap("the core of a member of a tree builds on no other");
  keeping.end();
}

function refuseSoft(pid: number, captured: readonly CapturedState[], strict: boolean): void {
  const soft = captured.flatMap(({ softErrors }) => softErrors.filter(({ kind }) => kind !== SKIPPED));
  if (!strict || soft.length === 0) return;
  const list = soft.map(({ message }) => message).join("; ");
  throw new CrError("UNSUPPORTED_STATE", `cannot checkpoint process ${pid} strictly: ${list}`, {
    hint: "leave out --strict to accept this",
  });
}
