/**
 * What is kept of a process between its checkpoints, so that the next one holds only what changed: the tracking of its
 * writes (tracee/page-tracker.ts), and where its pages stand in the cores so far. Where anything of that is lost (exec,
 * another process, a core that is gone), the next core is a whole one.
 */
import { type BigIntStats, fstatSync, statSync } from "node:fs";
import type { WrittenState } from "../core/recore-notes.js";
import type { WrittenCore } from "../core/writer.js";
import type { Ancestor } from "../state/delta.js";
import type { Vma } from "../state/vma.js";
import type { PageTracker } from "../tracee/page-tracker.js";
import type { Span } from "../tracee/range-list.js";
import type { CopiedMemory } from "./copied-memory.js";
import { rehearseDelta } from "./delta-rehearsal.js";
import type { KnownFlags } from "./mapping-flags.js";
import type { PageBase } from "./page-base.js";

/** Cores that build on a whole one, at most: each costs a restore one more file. */
const DELTAS_MAX = 15;

/** Which process, and which program in it (random addresses of its auxv). */
export interface Subject {
  readonly pid: number;
  readonly startTicks: bigint;
  readonly auxv: Buffer;
}

/** A core of the chain as it was written. */
export interface Link extends Ancestor {
  /** Not compressed. */
  readonly isPlain: boolean;
  /** Device, inode, size and time: whether the file is still that one. */
  readonly file: string;
  /** Bytes of pages in it. */
  readonly bytes: number;
}

/** What one checkpoint leaves to the next. */
export interface Kept {
  readonly subject: Subject;
  readonly tracker: PageTracker;
  readonly base: PageBase;
  /** The whole core first. */
  readonly chain: readonly Link[];
  /** Pages that a checkpoint which failed has seen written: they count as written still. */
  readonly owed: readonly Span[];
  /** Mappings with flags that were compared after its stop; null where that was not done. */
  readonly flags: readonly Vma[] | null;
}

export class Lineage implements Disposable {
  #kept: Kept | null = null;
  #isReady = false;

  /** How to look at the process: the flag that our own tracking gives to its mappings is none of its own. */
  readonly looking = {
    known: (pid: number): KnownFlags => (this.#kept?.subject.pid === pid ? this.#kept.flags : undefined),
  };

  /**
   * Gives away what was kept, where a core at `path` may build on it; it is the caller's then, or ended. Null when the
   * core has to be a whole one.
   */
  take(subject: Subject, path: string): Kept | null {
    const kept = this.#kept;
    if (kept === null) return null;
    if (!isOf(kept, subject) || !kept.tracker.isAlive() || !suits(kept.chain, path)) {
      this[Symbol.dispose]();
      return null;
    }
    this.#kept = null;
    return kept;
  }

  /** Keeps what a checkpoint leaves. */
  keep(kept: Kept): void {
    if (this.#kept?.tracker !== kept.tracker) this[Symbol.dispose]();
    this.#kept = kept;
  }

  /** Makes ready for the first delta, once; for when nobody waits. */
  rehearse(): void {
    if (this.#kept === null || this.#isReady) return;
    this.#isReady = true;
    rehearseDelta(this.#kept.base);
  }

  /** Ends the tracking: the next core is a whole one. */
  [Symbol.dispose](): void {
    this.#kept?.tracker[Symbol.dispose]();
    this.#kept = null;
  }
}

/** A core that has its name, as a link of a chain. */
export function linkOf(
  path: string,
  {
    written,
    takenMs,
    bytes,
  }: { readonly written: WrittenCore; readonly takenMs: number; readonly bytes: number },
): Link {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const isPlain = statOf(path)?.size === BigInt(written.sizeBytes);
  return { name, path, checksum: written.checksum, takenMs, file: identityOf(path) ?? "", isPlain, bytes };
}

/** What a core inherits from the cores of its chain, as its note tells it; undefined for a whole core. */
export function deltaOf(chain: readonly Ancestor[], { delta }: CopiedMemory): WrittenState["delta"] {
  if (delta === null) return undefined;
  return { ancestors: [...chain].reverse().map(ancestorOf), inherited: delta.inherited };
}

function ancestorOf({ name, path, checksum, takenMs }: Ancestor): Ancestor {
  return { name, path, checksum, takenMs };
}

function isOf({ subject }: Kept, { pid, startTicks, auxv }: Subject): boolean {
  return subject.pid === pid && subject.startTicks === startTicks && subject.auxv.equals(auxv);
}

/**
 * Whether one more core may build on the chain: it is short, a whole core would hold more than all that came after it,
 * its files are there untouched, and none of them is to be replaced.
 */
function suits(chain: readonly Link[], path: string): boolean {
  const [whole, ...deltas] = chain;
  const since = deltas.reduce((sum, { bytes }) => sum + bytes, 0);
  if (whole === undefined || deltas.length >= DELTAS_MAX || since > whole.bytes) return false;
  return chain.every((link) => link.path !== path && link.file === identityOf(link.path));
}

/** What tells whether the file of a name or descriptor is the one it was; null where there is none. */
export function identityOf(file: string | number): string | null {
  const stat = statOf(file);
  return stat === undefined ? null : `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs}`;
}

function statOf(file: string | number): BigIntStats | undefined {
  if (typeof file === "number") return fstatSync(file, { bigint: true });
  return statSync(file, { bigint: true, throwIfNoEntry: false });
}
