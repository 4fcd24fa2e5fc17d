/** Copies a stopped process into its core: memory, contents behind descriptors, files that are kept whole; then the rest. */
import { availableParallelism } from "node:os";
import { withAliases } from "../core/alias-segments.js";
import { planCore } from "../core/layout.js";
import { type WrittenCore, writeCoreTail } from "../core/writer.js";
import type { FileState, MappedFile } from "../state/fd.js";
import { isNameless, objectKey } from "../state/object-mapping.js";
import type { ProcessState } from "../state/process.js";
import type { Vma } from "../state/vma.js";
import type { OpenDescriptor } from "../tracee/descriptors.js";
import { copyMemoryTo } from "../tracee/memory.js";
import { isNativeError } from "../tracee/native-error.js";
import type { Pagemap } from "../tracee/pagemap.js";
import type { CapturedState } from "./capture.js";
import type { Dump } from "./connections.js";
import { copyContents, type Place } from "./contents.js";
import { changed } from "./freeze.js";
import { aliasesOf, copyObjects, type Memory } from "./object-contents.js";
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
  readonly open: readonly OpenDescriptor[];
  readonly once: StoredOnce;
  readonly sockets: Sockets;
  readonly connections: ReadonlyMap<bigint, Dump>;
  readonly unreadInputBytes: number;
  /** Keep the regular files it can write to. */
  readonly snapshot: boolean;
}

export interface Copied {
  readonly pid: number;
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
    const elsewhere = (vma: Vma) => isNameless(vma) && (once.holderOf(objectKey(vma)) ?? pid) !== pid;
    const own = stored.filter(
      ({ address }) => !vmas.some((vma) => isShownBy(vma, address) && elsewhere(vma)),
    );
    const planned = planCore(vmas, once.unstored(vmas, own));
    const layout = { ...planned, segments: withAliases(planned.segments, aliasesOf(vmas)) };
    const memory = copyMemoryTo(pid, output.bulkFd(layout.extraOffset), {
      ranges: layout.runs,
      threads: COPY_THREADS,
    });
    const runs = layout.runs.map((run, index) => ({ ...run, crc32c: memory.crc32c[index] ?? 0 }));
    const objects = copyOwnObjects(
      pid,
      { files: captured.files, memory: { vmas, runs, open: to.open }, once },
      { fd: output.fd, fileOffset: layout.extraOffset },
    );
    const contents = copyContents(pid, objects.files, { ...to, fd: output.fd, fileOffset: objects.end });
    const { files, end } = withSnapshots(pid, { ...contents, vmas }, to);
    const pages = runs.reduce((sum, run) => sum + run.lengthBytes, 0) / 4096;
    return {
      pid,
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

/** A shared mapping that an address is in: private ones have changed pages of their own. */
function isShownBy({ kind, start, end }: Vma, address: bigint): boolean {
  return kind === "shared-file" && address >= start && address < end;
}

/** What is behind mappings without a name: with the first member that maps it. */
function copyOwnObjects(
  pid: number,
  { files, memory, once }: { readonly files: FileState; readonly memory: Memory; readonly once: StoredOnce },
  core: Place,
): { readonly files: FileState; readonly end: number } {
  const vmaOf = ({ starts }: MappedFile) => memory.vmas.find(({ start }) => starts.includes(start));
  const holderOf = (one: MappedFile): number => {
    const vma = vmaOf(one);
    if (vma === undefined) return pid;
    const holder = once.holderOf(objectKey(vma)) ?? pid;
    once.hold(objectKey(vma), holder);
    return holder;
  };
  const all = (files.mapped ?? []).map((one) => ({ one, holder: holderOf(one) }));
  const mapped = all.flatMap(({ one, holder }) => (holder === pid ? [one] : []));
  const copied = copyObjects(pid, { files: { ...files, mapped }, memory }, core);
  const others = all.flatMap(({ one, holder }) =>
    holder === pid ? [] : [{ ...one, file: { ...one.file, contentIn: holder } }],
  );
  return { ...copied, files: { ...copied.files, mapped: [...(copied.files.mapped ?? []), ...others] } };
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

/** Headers and notes: the process may run again. */
export function finishCore({ output, layout, state, tailOffset }: Copied): WrittenCore {
  try {
    return writeCoreTail(output.fd, { layout, state, tailOffset });
  } catch (error) {
    throw outputFailed(output.path, error);
  }
}
