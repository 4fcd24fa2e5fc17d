/**
 * From the stopped process into the core: its memory, what is behind its deleted files and pipes, and once it runs
 * again all that describes it. Turns failures of the copy into the user's words.
 */
import { writeCoreTail } from "../core/writer.js";
import { faultPoint } from "../fault.js";
import type { FileState } from "../state/fd.js";
import type { OpenDescriptor } from "../tracee/descriptors.js";
import type { FrozenCopy } from "../tracee/frozen-copy.js";
import { isNativeError } from "../tracee/native-error.js";
import type { CapturedState } from "./capture.js";
import { copyContents } from "./contents.js";
import type { CopiedMemory } from "./copied-memory.js";
import { changed } from "./freeze.js";
import type { Interior } from "./interior.js";
import type { MemoryCopy } from "./memory-copy.js";
import { copyObjects } from "./object-contents.js";
import { type OutputFile, outputFailed } from "./output.js";
import type { Phases } from "./phases.js";
import { refuse } from "./refusal.js";
import { snapshotFiles } from "./snapshots.js";

/** What was written beside the memory, and the first byte behind it. */
export interface Contents {
  readonly files: FileState;
  readonly end: number;
}

/** Runs a part of the copy. Throws TARGET_CHANGED, UNSUPPORTED_STATE, OUTPUT_FAILED. */
export function copying<T>(pid: number, output: OutputFile, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (isNativeError(error, "ESRCH")) throw changed(pid, error);
    if (isNativeError(error, "EFAULT")) {
      refuse(pid, [
        { kind: "mapping", id: "", what: "memory that cannot be read (a faulty page, or it just ended)" },
      ]);
    }
    throw outputFailed(output.path, error);
  }
}

export interface InStop {
  readonly memory: MemoryCopy;
  readonly fork: FrozenCopy | null;
  readonly phases: Phases;
  readonly output: OutputFile;
  readonly interior: Interior;
  readonly open: readonly OpenDescriptor[];
  /** Keep the files that it can write to. */
  readonly snapshot: boolean;
}

/** Copies what must be copied while the process stands. */
export function copyInStop(pid: number, captured: CapturedState, to: InStop): Contents {
  const { memory, output, interior } = to;
  const { fd } = output;
  const { vmas } = captured;
  memory.copyInStop(vmas, to);
  const shown = { vmas, runs: memory.shown, open: to.open };
  const objects = copyObjects(
    pid,
    { files: captured.files, memory: shown },
    { fd, fileOffset: memory.endOffset },
  );
  const contents = copyContents(pid, objects.files, {
    fd,
    fileOffset: objects.end,
    unreadInputBytes: interior.unreadInputBytes,
  });
  const kept = { files: contents.files, vmas, opened: to.snapshot };
  const { snapshots, end } = snapshotFiles(pid, kept, { fd, fileOffset: contents.end });
  return { files: { ...contents.files, snapshots }, end };
}

/** What was stashed, headers, notes and durability: the program already runs again. */
export function finish(
  captured: CapturedState,
  to: {
    readonly pid: number;
    readonly memory: MemoryCopy;
    readonly contents: Contents;
    readonly output: OutputFile;
  },
): CopiedMemory {
  const { pid, memory, contents, output } = to;
  return copying(pid, output, () => {
    const copied = memory.finish(contents.end);
    const { vmas, runs, layout } = copied;
    const state = { ...captured, vmas, runs, files: contents.files };
    writeCoreTail(output.fd, { layout, state, tailOffset: memory.endOffset });
    faultPoint("before-commit");
    output.commit();
    return copied;
  });
}
