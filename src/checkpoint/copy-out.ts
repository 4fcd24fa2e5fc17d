/**
 * From a stopped process into its core: its memory, what is behind its deleted files and pipes, files that are kept
 * whole; and once it runs again all that describes it. Turns failures of the copy into the user's words.
 */
import { type WrittenCore, writeCoreTail } from "../core/writer.js";
import type { FileState, MappedFile } from "../state/fd.js";
import { isNameless, objectKey } from "../state/object-mapping.js";
import type { Vma } from "../state/vma.js";
import type { OpenDescriptor } from "../tracee/descriptors.js";
import type { FrozenCopy } from "../tracee/frozen-copy.js";
import { isNativeError } from "../tracee/native-error.js";
import type { Policies } from "./asked-policies.js";
import { startWriting } from "./bulk.js";
import type { CapturedState } from "./capture.js";
import type { Dump } from "./connections.js";
import { copyContents, type Place } from "./contents.js";
import type { CopiedMemory } from "./copied-memory.js";
import { CopyGap } from "./copy-gap.js";
import { changed } from "./freeze.js";
import { deltaOf } from "./lineage.js";
import type { MemoryCopy } from "./memory-copy.js";
import { policiesNow, withPolicies } from "./memory-policies.js";
import { copyObjects, type Memory } from "./object-contents.js";
import { type OutputFile, outputFailed } from "./output.js";
import type { StoredRange } from "./pages.js";
import type { Phases } from "./phases.js";
import type { Sockets } from "./queues.js";
import { refuse } from "./refusal.js";
import { snapshotFiles } from "./snapshots.js";
import type { StoredOnce } from "./stored-once.js";

/** Where a process is copied to, and what must be known of the other members of its tree. */
export interface Destination {
  readonly output: OutputFile;
  readonly memory: MemoryCopy;
  readonly fork: FrozenCopy | null;
  readonly phases: Phases;
  readonly open: readonly OpenDescriptor[];
  readonly once: StoredOnce;
  readonly sockets: Sockets;
  readonly connections: ReadonlyMap<bigint, Dump>;
  /** Of its mappings; null where they are to be read once it runs again. */
  readonly policies: Policies | null;
  readonly unreadInputBytes: number;
  /** Keep the regular files it can write to. */
  readonly snapshot: boolean;
}

/** A process of which all is copied that had to be while it stood. */
export interface Copied {
  readonly pid: number;
  readonly output: OutputFile;
  readonly memory: MemoryCopy;
  readonly state: CapturedState;
  readonly files: FileState;
  readonly policies: Policies | null;
  /** First byte behind what was written beside the memory. */
  readonly end: number;
}

/** Runs a part of the copy. Throws TARGET_CHANGED, UNSUPPORTED_STATE, OUTPUT_FAILED. */
export function copying<T>(pid: number, output: OutputFile, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof CopyGap) throw error;
    if (isNativeError(error, "ESRCH")) throw changed(pid, error);
    if (isNativeError(error, "EFAULT")) {
      const what = "memory that cannot be read (a faulty page, or it just ended)";
      refuse(pid, [{ kind: "mapping", id: "", what }]);
    }
    throw outputFailed(output.path, error);
  }
}

/** Copies what must be copied while the process stands. Throws as `copying`. */
export function copyOut(pid: number, state: CapturedState, to: Destination): Copied {
  const { output, memory, once } = to;
  return copying(pid, output, () => {
    const { vmas } = state;
    const { isTracking } = memory;
    try {
      memory.copyInStop(vmas, { ...to, share: (of, stored) => shareOf(pid, { vmas: of, stored, once }) });
    } catch (error) {
      throw isTracking && isNativeError(error, "EFAULT")
        ? new CopyGap("a page is gone", { cause: error })
        : error;
    }
    const { pace } = memory;
    pace.requireTime();
    const shown = { vmas, runs: memory.shown, open: to.open };
    const objects = copyOwnObjects(
      pid,
      { files: state.files, memory: shown, once },
      { fd: output.fd, fileOffset: memory.endOffset },
    );
    pace.requireTime();
    const contents = copyContents(pid, objects.files, { ...to, fd: output.fd, fileOffset: objects.end });
    pace.requireTime();
    return {
      pid,
      output,
      memory,
      state,
      policies: to.policies,
      ...withSnapshots(pid, { ...contents, vmas }, to),
    };
  });
}

/** What of a plan no other member of the tree stores. */
function shareOf(
  pid: number,
  {
    vmas,
    stored,
    once,
  }: { readonly vmas: readonly Vma[]; readonly stored: readonly StoredRange[]; readonly once: StoredOnce },
): StoredRange[] {
  if (once.isLodger(pid)) return [];
  const elsewhere = vmas.filter(
    (vma) => vma.kind === "shared-file" && isNameless(vma) && (once.holderOf(objectKey(vma)) ?? pid) !== pid,
  );
  const own = stored.filter(
    ({ address }) => !elsewhere.some(({ start, end }) => address >= start && address < end),
  );
  return once.unstored(vmas, own);
}

/** What is known by its mappings: a file without a name, or a segment. */
type Shown = Pick<MappedFile, "starts">;

/** What is behind mappings without a name: with the first member that maps it. */
function copyOwnObjects(
  pid: number,
  { files, memory, once }: { readonly files: FileState; readonly memory: Memory; readonly once: StoredOnce },
  core: Place,
): { readonly files: FileState; readonly end: number } {
  const vmaOf = ({ starts }: Shown) => memory.vmas.find(({ start }) => starts.includes(start));
  const holderOf = (one: Shown): number => {
    const vma = vmaOf(one);
    if (vma === undefined) return pid;
    const holder = once.holderOf(objectKey(vma)) ?? pid;
    once.hold(objectKey(vma), holder);
    return holder;
  };
  const all = (files.mapped ?? []).map((one) => ({ one, holder: holderOf(one) }));
  const mapped = all.flatMap(({ one, holder }) => (holder === pid ? [one] : []));
  const segments = files.segments?.map((one) => ({ one, holder: holderOf(one) })) ?? [];
  const own = segments.flatMap(({ one, holder }) => (holder === pid ? [one] : []));
  const copied = copyObjects(pid, { files: { ...files, mapped, segments: own }, memory }, core);
  const others = all.flatMap(({ one, holder }) =>
    holder === pid ? [] : [{ ...one, file: { ...one.file, contentIn: holder } }],
  );
  const seen = segments.flatMap(({ one, holder }) => (holder === pid ? [] : [one]));
  return {
    ...copied,
    files: {
      ...copied.files,
      mapped: [...(copied.files.mapped ?? []), ...others],
      segments: [...(copied.files.segments ?? []), ...seen],
    },
  };
}

/** Files that another member has kept are not kept again. */
function withSnapshots(
  pid: number,
  {
    files,
    vmas,
    end: fileOffset,
  }: { readonly files: FileState; readonly vmas: readonly Vma[]; readonly end: number },
  { output: { fd }, once, snapshot }: Destination,
): { readonly files: FileState; readonly end: number } {
  const isNew = ({ path }: { readonly path: string }) => !once.isKept(path);
  const kept = {
    files: { ...files, descriptions: files.descriptions.filter(isNew) },
    vmas: vmas.filter(isNew),
    opened: snapshot,
  };
  const { snapshots, end } = snapshotFiles(pid, kept, { fd, fileOffset });
  once.keep(snapshots.map(({ path }) => path));
  return { files: { ...files, snapshots }, end };
}

/** A core that is whole but not durable yet, with what its memory comes to. */
export interface Finished {
  readonly written: WrittenCore;
  /** Bytes of memory that are not zero, and pages stored. */
  readonly bytes: number;
  readonly pages: number;
  readonly copied: CopiedMemory;
}

/** What was kept in memory, headers and notes: the process may run again. Throws as `copying`. */
export function finishCore({ pid, output, memory, state, files, policies, end }: Copied): Finished {
  return copying(pid, output, () => {
    const copied = memory.finish(end);
    const { runs, segments, bytes, pages } = copied;
    const vmas = withPolicies(copied.vmas, policies ?? policiesNow(pid), state.threads);
    const delta = deltaOf(memory.chain, copied);
    const whole = { ...state, vmas, runs, files, ...(delta !== undefined && { delta }) };
    const tail = { layout: { segments }, state: whole, tailOffset: memory.endOffset };
    const written = writeCoreTail(output.fd, tail);
    // Of a delta these are megabytes, and flags of mappings (mapping-flags.ts) are still waited for.
    if (delta !== undefined) startWriting(output.fd);
    return { written, bytes, pages, copied };
  });
}
