/** Copies a stopped process into its core: memory, contents behind descriptors, files that are kept whole; then the rest. */
import { availableParallelism } from "node:os";
import { planCore } from "../core/layout.js";
import { type WrittenCore, writeCoreTail } from "../core/writer.js";
import type { FileState } from "../state/fd.js";
import type { ProcessState } from "../state/process.js";
import { copyMemoryTo } from "../tracee/memory.js";
import { isNativeError } from "../tracee/native-error.js";
import type { Pagemap } from "../tracee/pagemap.js";
import type { CapturedState } from "./capture.js";
import type { Dump } from "./connections.js";
import { copyContents } from "./contents.js";
import { changed } from "./freeze.js";
import { type OutputFile, outputFailed } from "./output.js";
import { planPages } from "./pages.js";
import { refuse } from "./refusal.js";
import type { Sockets } from "./refused-contents.js";
import { snapshotFiles } from "./snapshots.js";
import type { StoredOnce } from "./stored-once.js";

/** Threads of the bulk copy: the copying is CPU work, so no more than there are CPUs. */
const COPY_THREADS = Math.min(4, availableParallelism());

/** Where a process is copied to, and what must be known of the other members of its tree. */
export interface Destination {
  readonly output: OutputFile;
  readonly pagemap: Pagemap;
  readonly once: StoredOnce;
  readonly sockets: Sockets;
  readonly connections: ReadonlyMap<bigint, Dump>;
  readonly unreadInputBytes: number;
  /** Keep the regular files it can write to. */
  readonly snapshot: boolean;
}

export interface Copied {
  readonly output: OutputFile;
  readonly state: ProcessState;
  readonly layout: ReturnType<typeof planCore>;
  readonly tailOffset: number;
  readonly writtenBytes: number;
  readonly pages: number;
}

/** Copies the memory and the deleted files of the stopped process to their places in the core. */
export function copyOut(pid: number, captured: CapturedState, to: Destination): Copied {
  const { output, pagemap, once } = to;
  try {
    const { vmas, stored } = planPages(pid, captured.vmas, pagemap);
    const layout = planCore(vmas, once.unstored(vmas, stored));
    const memory = copyMemoryTo(pid, output.bulkFd(layout.extraOffset), {
      ranges: layout.runs,
      threads: COPY_THREADS,
    });
    const runs = layout.runs.map((run, index) => ({ ...run, crc32c: memory.crc32c[index] ?? 0 }));
    const contents = copyContents(pid, captured.files, {
      ...to,
      fd: output.fd,
      fileOffset: layout.extraOffset,
    });
    const { files, end } = to.snapshot ? withSnapshots(pid, contents, to) : contents;
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
    if (isNativeError(error, "ESRCH")) throw changed(pid, error);
    if (isNativeError(error, "EFAULT")) {
      const what = "memory that cannot be read (a faulty page, or it just ended)";
      refuse(pid, [{ kind: "mapping", id: "", what }]);
    }
    throw outputFailed(output.path, error);
  }
}

/** Files that another member has kept are not kept again. */
function withSnapshots(
  pid: number,
  { files, end: fileOffset }: { readonly files: FileState; readonly end: number },
  { output: { fd }, once }: Destination,
): { readonly files: FileState; readonly end: number } {
  const descriptions = files.descriptions.filter(({ path }) => !once.isKept(path));
  const { snapshots, end } = snapshotFiles(pid, { ...files, descriptions }, { fd, fileOffset });
  once.keep(snapshots.map(({ path }) => path));
  return { files: { ...files, snapshots }, end };
}

/** Headers and notes: the process may run again. */
export function finishCore({ output, layout, state, tailOffset }: Copied): WrittenCore {
  try {
    return writeCoreTail(output.fd, { layout, state, tailOffset });
  } catch (error) {
    throw outputFailed(output.path, error);
  }
}
