/** Copies a stopped process into its core: memory, contents behind descriptors, files that are kept whole; then the rest. */
import { availableParallelism } from "node:os";
import { withAliases } from "../core/alias-segments.js";
import { planCore } from "../core/layout.js";
import { writeCoreTail } from "../core/writer.js";
import type { FileState } from "../state/fd.js";
import type { ProcessState } from "../state/process.js";
import type { OpenDescriptor } from "../tracee/descriptors.js";
import { copyMemoryTo } from "../tracee/memory.js";
import { isNativeError } from "../tracee/native-error.js";
import type { Pagemap } from "../tracee/pagemap.js";
import type { Tracee } from "../tracee/tracee.js";
import type { CapturedState } from "./capture.js";
import { copyContents } from "./contents.js";
import { changed } from "./freeze.js";
import type { Interior } from "./interior.js";
import { aliasesOf, copyObjects } from "./object-contents.js";
import { type OutputFile, outputFailed } from "./output.js";
import { planPages } from "./pages.js";
import { refuse } from "./refusal.js";
import { snapshotFiles } from "./snapshots.js";

/** Threads of the bulk copy: the copying is CPU work, so no more than there are CPUs. */
const COPY_THREADS = Math.min(4, availableParallelism());

export interface Copied {
  readonly output: OutputFile;
  readonly state: ProcessState;
  readonly layout: ReturnType<typeof planCore>;
  readonly tailOffset: number;
  readonly writtenBytes: number;
  readonly pages: number;
}

/** Where a process is copied to, and what of it. */
export interface CopyParts {
  readonly tracee: Tracee;
  readonly output: OutputFile;
  readonly pagemap: Pagemap;
  readonly interior: Interior;
  readonly open: readonly OpenDescriptor[];
  readonly snapshot: boolean;
}

/** Copies the memory and the deleted files of the stopped process to their places in the core. */
export function copyOut(captured: CapturedState, to: CopyParts): Copied {
  const { tracee, output, pagemap, interior } = to;
  try {
    const { vmas, stored } = planPages(tracee.main, captured.vmas, pagemap);
    const planned = planCore(vmas, stored);
    const layout = { ...planned, segments: withAliases(planned.segments, aliasesOf(vmas)) };
    const memory = copyMemoryTo(tracee.main, output.bulkFd(layout.extraOffset), {
      ranges: layout.runs,
      threads: COPY_THREADS,
    });
    const runs = layout.runs.map((run, index) => ({ ...run, crc32c: memory.crc32c[index] ?? 0 }));
    const objects = copyObjects(
      tracee.main,
      { files: captured.files, memory: { vmas, runs, open: to.open } },
      { fd: output.fd, fileOffset: layout.extraOffset },
    );
    const contents = copyContents(tracee.main, objects.files, {
      fd: output.fd,
      fileOffset: objects.end,
      unreadInputBytes: interior.unreadInputBytes,
    });
    const kept = { files: contents.files, vmas, opened: to.snapshot };
    const { snapshots, end } = snapshotFiles(tracee.main, kept, { fd: output.fd, fileOffset: contents.end });
    const files: FileState = { ...contents.files, snapshots };
    const pages = runs.reduce((sum, run) => sum + run.lengthBytes, 0) / 4096;
    return {
      output,
      state: { ...captured, vmas, files, runs },
      layout,
      tailOffset: end,
      writtenBytes: memory.writtenBytes,
      pages,
    };
  } catch (error) {
    if (isNativeError(error, "ESRCH")) throw changed(tracee.pid, error);
    if (isNativeError(error, "EFAULT")) {
      refuse(tracee.pid, [
        { kind: "mapping", id: "", what: "memory that cannot be read (a faulty page, or it just ended)" },
      ]);
    }
    throw outputFailed(output.path, error);
  }
}

/** Headers and notes: the process may run again. */
export function finishCore({ output, layout, state, tailOffset }: Copied): void {
  try {
    writeCoreTail(output.fd, { layout, state, tailOffset });
  } catch (error) {
    throw outputFailed(output.path, error);
  }
}
