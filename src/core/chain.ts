/**
 * The cores that a delta builds on, found and proved to be the ones it means: beside it, else where they were written.
 * Their pages are checked as they are read: the delta has the checksums of all it inherits.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { CrError } from "../errors.js";
import type { Ancestor, Delta } from "../state/delta.js";
import type { PageRun } from "../state/pages.js";
import type { ProcessState } from "../state/process.js";
import type { Unpack } from "./packed.js";
import { type CoreFile, openCore } from "./reader.js";
import { decodeChecksumNote, decodeRecoreNotes } from "./recore-decode.js";
import { RECORE_NOTES, RECORE_OWNER } from "./recore-notes.js";

/** What a delta inherits from one of its ancestors. */
export interface Heritage {
  readonly core: CoreFile;
  readonly runs: readonly PageRun[];
}

/** Open ancestors of a delta, the parent first; none of a whole core. */
export interface Chain extends Disposable {
  readonly heritage: readonly Heritage[];
}

export interface ChainOptions {
  readonly unpack?: Unpack;
  /** Refuses an ancestor that must not be believed; called before anything is read of it. */
  readonly check?: (core: CoreFile) => void;
}

/**
 * Opens what the delta at `path` builds on. Throws PARENT_MISSING, PARENT_CHANGED, PARENT_OTHER, and what opening a
 * core throws.
 */
export function openChain(path: string, state: ProcessState, options: ChainOptions = {}): Chain {
  const { delta } = state;
  const heritage: Heritage[] = [];
  const close = () => {
    for (const { core } of heritage) core.close();
  };
  try {
    for (const [index, ancestor] of (delta?.ancestors ?? []).entries()) {
      const core = openCore(find(path, ancestor), options.unpack ? { unpack: options.unpack } : {});
      heritage.push({ core, runs: runsIn(delta, index) });
      options.check?.(core);
      requireSame(core, { path, state, ancestor });
    }
    return { heritage, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

/** The digits of a core's note CHECKSUM: they stand for its headers, its notes and the checksums of its pages. */
export function checksumOfCore({ notes, path }: CoreFile): string | null {
  const note = notes.find(({ owner, type }) => owner === RECORE_OWNER && type === RECORE_NOTES.CHECKSUM);
  return note === undefined ? null : decodeChecksumNote(note, path);
}

function runsIn(delta: Delta | undefined, index: number): PageRun[] {
  const own = delta?.inherited.filter(({ ancestor }) => ancestor === index) ?? [];
  return own.map(({ address, lengthBytes, fileOffset, crc32c }) => ({
    address,
    lengthBytes,
    fileOffset,
    crc32c,
    sameAsFile: false,
  }));
}

function find(path: string, { name, path: recorded }: Ancestor): string {
  const beside = join(dirname(path), name);
  const found = [beside, recorded].find((one) => existsSync(one));
  if (found !== undefined) return found;
  const where = beside === recorded ? beside : `${beside} or ${recorded}`;
  throw new CrError("PARENT_MISSING", `read core ${path}: it builds on ${where}, which is not there`, {
    hint: `put ${name} back beside it, or use an earlier core`,
    data: { path, parent: name },
  });
}

function requireSame(
  core: CoreFile,
  {
    path,
    state,
    ancestor,
  }: { readonly path: string; readonly state: ProcessState; readonly ancestor: Ancestor },
): void {
  const data = { path, parent: core.path };
  const own = core.origin === "recore" ? decodeRecoreNotes(core.notes, core.path) : null;
  const { process, host } = state;
  const isOther =
    own?.PROCESS.pid !== process.pid ||
    own.PROCESS.startTicks !== process.startTicks ||
    own.HOST.bootId !== host.bootId;
  if (isOther) {
    const what = own === null ? "no core of Recore" : `a core of process ${own.PROCESS.pid}`;
    throw new CrError(
      "PARENT_OTHER",
      `read core ${path}: it builds on ${core.path}, which is ${what}, started at another time or under another boot; required is one of process ${process.pid}`,
      { hint: `put the ${ancestor.name} of that process back beside it, or use an earlier core`, data },
    );
  }
  const checksum = checksumOfCore(core);
  if (checksum === ancestor.checksum && own.HOST.takenMs === ancestor.takenMs) return;
  throw new CrError(
    "PARENT_CHANGED",
    `read core ${path}: it builds on ${core.path}, whose checksum is ${checksum} (taken ${when(own.HOST.takenMs)}), ${ancestor.checksum} (taken ${when(ancestor.takenMs)}) is required`,
    { hint: `put the first ${ancestor.name} back beside it, or use an earlier core`, data },
  );
}

function when(takenMs: number): string {
  return new Date(takenMs).toISOString();
}
