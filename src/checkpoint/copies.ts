/**
 * The memories of the members of a tree on their way into their cores, from before their common stop on: each is copied
 * while it runs, as far as that goes, and goes on from there in the stop. A lone process is a tree of one.
 */
import { CrError } from "../errors.js";
import { collectGarbage } from "../host/urgency.js";
import type { Vma } from "../state/vma.js";
import { hasDirectDescriptor } from "../tracee/descriptors.js";
import type { Gadgets } from "../tracee/site.js";
import type { Output } from "./bundle.js";
import { STASH_BYTES } from "./convergence.js";
import { type Copied, copying, type Finished } from "./copy-out.js";
import { changed, OtherProgram } from "./freeze.js";
import { type LendOptions, lend } from "./lend.js";
import { type Lineage, linkOf } from "./lineage.js";
import type { Candidate } from "./live.js";
import type { Memory, TreeLook } from "./look.js";
import { FlagsCheck, type KnownFlags, mappingsSince } from "./mapping-flags.js";
import { MemoryCopy } from "./memory-copy.js";
import { type PoliciesOf, PolicyLists } from "./memory-policies.js";
import { type Begun, beginCopy, NOT_BEGUN, requireShort, unavailable } from "./mode.js";
import type { OutputFile } from "./output.js";
import type { Pace } from "./pace.js";
import { rehearse } from "./rehearsal.js";
import type { RestartLedger } from "./restarted-calls.js";
import { attempt } from "./target.js";

/** A member that is not there any more as it was looked at: the common stop finds out what became of it. */
const GONE_ON: readonly string[] = ["TARGET_CHANGED", "NO_SUCH_PROCESS"];

export interface CopiesOptions extends LendOptions {
  readonly gadgets: ReadonlyMap<number, Gadgets | null>;
  readonly timeoutMs: number;
  readonly ledger: RestartLedger;
  /** Read the flags of mappings in the stop. */
  readonly isExact: boolean;
  readonly pace: Pace;
  /** Of looks, of which another one is taken right before the last rounds (rehearsal.ts). */
  readonly memory: Memory;
}

/** One member's. */
export interface Copy {
  readonly output: OutputFile;
  readonly memory: MemoryCopy;
  readonly begun: Begun;
  readonly known: KnownFlags;
  /** Rounds since these are known. */
  readonly lastRounds?: number;
  /** Of the program that it is: random addresses tell it from one that exec brings, also of a child of vfork(2). */
  readonly auxv: Buffer;
}

type Beginning = CopiesOptions & Pick<Candidate, "beside">;

export class Copies {
  readonly #output: Output;
  readonly #copies = new Map<number, Copy>();
  readonly #isTree: boolean;
  readonly #pace: Pace;
  readonly #lineage: Lineage | undefined;
  policies: PoliciesOf = new Map();

  private constructor(output: Output, isTree: boolean, { pace, lineage }: CopiesOptions) {
    this.#output = output;
    this.#pace = pace;
    this.#isTree = isTree;
    this.#lineage = lineage;
  }

  /**
   * Copies what can be copied while the members run. Throws MODE_UNAVAILABLE, STOP_TOO_LONG, TARGET_CHANGED,
   * OUTPUT_FAILED and what freezing throws.
   */
  static begin(look: TreeLook, output: Output, options: CopiesOptions): Copies {
    const { looks } = look;
    const copies = new Copies(output, looks.size > 1, options);
    using lists = new PolicyLists(look);
    try {
      for (const pid of looks.keys()) copies.#begin(pid, look, { ...options, beside: lists });
      const [root = 0] = looks.keys();
      requireShort(
        root,
        [...copies.#copies.values()].map(({ begun }) => begun),
        options.maxStopMs,
      );
      copies.#prepare();
      // Before the last round: what takes long after it is more to copy in the stop.
      const isTracking = () => [...copies.#copies.values()].some(({ memory }) => memory.isTracking);
      if (isTracking()) collectGarbage({ onlyMuch: true });
      for (const [pid, { facts }] of looks) copies.#findFlags(pid, options.isExact ? null : facts.vmas);
      copies.policies = lists.read();
      const known = (pid: number) => copies.known(pid);
      if (isTracking() && options.lineage === undefined) rehearse(root, { ...options.memory, known });
      for (const pid of looks.keys()) copies.#lastRounds(pid);
      return copies;
    } catch (error) {
      copies[Symbol.dispose]();
      throw error;
    }
  }

  #begin(pid: number, { looks, sharers }: TreeLook, options: Beginning): void {
    const look = looks.get(pid);
    if (look === undefined) return;
    const output = this.#output.core(pid);
    const memory = new MemoryCopy(pid, output, options.pace);
    const { auxv } = look.facts;
    this.#copies.set(pid, { output, memory, begun: NOT_BEGUN, known: undefined, auxv });
    lend(memory, { pid, look, isTree: this.#isTree, output }, options);
    const freezing = {
      timeoutMs: options.timeoutMs,
      ledger: options.ledger,
      key: `${pid}:${look.facts.stat.startTicks}`,
    };
    // In vfork(2), mostly: it does not stop before its child goes its own way.
    if (this.#isTree && look.facts.stat.state === "D") return;
    if (sharers.some(({ what, pids }) => what === "vm" && pids.includes(pid))) {
      const why = "it shares its memory with another process";
      if (options.mode === "live") throw unavailable(pid, "live", why);
      const begun = { ...NOT_BEGUN, why };
      this.#copies.set(pid, { output, memory, begun, known: undefined, auxv });
      return;
    }
    const gadgets = options.gadgets.get(pid) ?? null;
    const candidate = { pid, look, gadgets, freezing, isOfTree: this.#isTree, beside: options.beside };
    const begun = this.#unlessGoneOn(pid, () => beginCopy(candidate, memory, options));
    if (begun !== null) this.#copies.set(pid, { output, memory, begun, known: undefined, auxv });
  }

  /** Null, and no copy, when a member of a tree is another program by now or has ended. */
  #unlessGoneOn<T>(pid: number, act: () => T): T | null {
    try {
      return copying(pid, this.#output.core(pid), act);
    } catch (error) {
      if (!this.#isTree || !(error instanceof CrError) || !GONE_ON.includes(error.code)) throw error;
      this.#drop(pid);
      return null;
    }
  }

  /** Makes room for what is expected. */
  #prepare(): void {
    let leftBytes = STASH_BYTES;
    for (const { memory, begun } of this.#copies.values()) {
      leftBytes -= memory.prepare(begun.leftBytes, leftBytes);
    }
  }

  /** Finds the flags of mappings, unless they are to be read in the stop. */
  #findFlags(pid: number, before: readonly Vma[] | null): void {
    const copy = this.#copies.get(pid);
    if (!copy?.memory.isTracking) return;
    const found = this.#unlessGoneOn(pid, () => ({
      known: before && attempt(pid, () => mappingsSince(pid, before)),
    }));
    if (found !== null) this.#copies.set(pid, { ...copy, ...found });
  }

  /** Makes up for the time that took. */
  #lastRounds(pid: number): void {
    const copy = this.#copies.get(pid);
    const { known } = copy ?? {};
    if (!copy?.memory.isTracking || !known || copy.begun.mode === "fork") return;
    const done = this.#unlessGoneOn(pid, () => {
      const copied: number[] = [];
      while (copy.begun.wantsLast(copied, performance.now()))
        copied.push(copy.memory.round(known).copiedBytes);
      if (!attempt(pid, () => hasDirectDescriptor(pid))) return { lastRounds: copied.length };
      copy.memory.untrack();
      return { known: undefined };
    });
    if (done !== null) this.#copies.set(pid, { ...copy, ...done });
  }

  /** What is known of a member's mappings. */
  known(pid: number): KnownFlags {
    return this.#copies.get(pid)?.known;
  }

  /** Why a member was not copied while it ran; null when it was, or another way was asked for. */
  why(pid: number): string | null {
    return this.#copies.get(pid)?.begun.why ?? null;
  }

  /** How often it was copied, the stop included. */
  rounds(pid: number): number {
    const { begun, lastRounds = 0 } = this.#copies.get(pid) ?? { begun: NOT_BEGUN };
    return begun.rounds + lastRounds + 1;
  }

  /** The copy of a member that stands: a new one for who has come, or called exec, since. */
  of(pid: number, auxv: Buffer): Copy {
    const copy = this.#copies.get(pid);
    const isSame = copy?.memory.isOfThis() && copy.auxv.equals(auxv);
    if (copy !== undefined && isSame) return copy;
    if (copy !== undefined && !this.#isTree) throw changed(pid, new OtherProgram());
    this.#drop(pid);
    const output = this.#output.renew(pid);
    const begun = { ...NOT_BEGUN, why: "it began, or called exec, in between" };
    const fresh = { output, memory: new MemoryCopy(pid, output, this.#pace), begun, known: undefined, auxv };
    this.#copies.set(pid, fresh);
    return fresh;
  }

  #drop(pid: number): void {
    this.#copies.get(pid)?.memory[Symbol.dispose]();
    this.#copies.delete(pid);
  }

  /** Ends the tracking, once the members run again; what tells whether the flags of mappings were those of the stop. */
  untrack(): FlagsCheck {
    for (const { memory } of this.#copies.values()) if (!memory.keeping.isOn) memory.beginUntrack();
    return new FlagsCheck(
      new Map([...this.#copies].flatMap(([pid, { known }]) => (known ? [[pid, known] as const] : []))),
    );
  }

  /** Keeps what a core that has its name leaves to the next checkpoint of the process. */
  handOver([one]: readonly Copied[], [finished]: readonly Finished[]): void {
    if (one === undefined || finished === undefined) return;
    const { memory, state, output } = one;
    const { copied, written, bytes } = finished;
    const tracker = memory.keeping.isOn ? memory.releaseTracker() : null;
    if (tracker === null) return;
    const { pid, startTicks } = state.process;
    const link = linkOf(output.path, { written, takenMs: state.host.takenMs, bytes });
    const chain = copied.delta === null ? [link] : [...memory.keeping.chain, link];
    const subject = { pid: state.process.hostPid ?? pid, startTicks, auxv: state.auxv };
    this.#lineage?.keep({
      ...{ subject, tracker, chain, owed: [], flags: this.known(one.pid) ?? null },
      base: memory.baseFor(copied),
    });
  }

  /** Ends it; what a checkpoint that came to nothing has seen is left to the next. */
  [Symbol.dispose](): void {
    for (const { memory } of this.#copies.values()) {
      const kept = memory.isTracking ? memory.keeping.giveBack() : null;
      if (kept !== null && this.#lineage !== undefined) {
        memory.releaseTracker();
        this.#lineage.keep(kept);
      }
      memory[Symbol.dispose]();
      memory.parent?.[Symbol.dispose]();
      memory.parent = null;
    }
  }
}
