/**
 * Files that the program had mapped shared and writable, whole, and that are gone (as a JVM's /tmp/hsperfdata_USER/PID
 * is, which the next JVM clears away): their bytes are in the core, so they are made again. Until the program starts
 * they have a name of their own beside the recorded one, so that a cr that is killed leaves nothing in the way.
 */
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  rmSync,
} from "node:fs";
import { dirname } from "node:path";
import { CrError, isErrno } from "../errors.js";
import { formatDevice } from "../host/device-number.js";
import type { ProcessState } from "../state/process.js";
import type { SoftError } from "../state/soft-error.js";
import type { Vma } from "../state/vma.js";
import { renameAs } from "../tracee/file-names.js";
import { isNativeError } from "../tracee/native-error.js";
import { openStraight } from "../tracee/straight-path.js";
import { openFailed } from "./file-look.js";
import type { FilesPolicy } from "./regular-file.js";
import { setTime } from "./rollback.js";
import { isSharedWritable } from "./shared-mappings.js";

const MODE_BITS = 0o7777;
/** Behind the recorded name; one that lies there is what a killed cr has left. */
const BEHIND = ".cr-made";

type Mappings = Pick<ProcessState, "vmas" | "files">;

/** Disposing removes them unless they have got their names. */
export interface MadeAgain<T extends Mappings> extends Disposable {
  /** The state, with the names and inodes that they have meanwhile. */
  readonly state: T;
  readonly softErrors: readonly SoftError[];
  /** Gives them their recorded names, right before the program starts. FILE_CHANGED when one is taken by now. */
  name(): void;
  /** Takes the names back, when something fails between `name` and the program's start. */
  undo(): void;
}

interface Made {
  readonly path: string;
  readonly temporary: string;
  readonly ino: bigint;
  readonly dev: string;
}

/**
 * Makes all of them, empty and of the recorded length, with mode, owner and time; their bytes come back with those of
 * all shared mappings. None with `--files keep`. FILE_MISSING when a folder is gone, NOT_PERMITTED.
 */
export function makeGoneFiles<T extends Mappings>(
  state: T,
  { policy, putBack }: { readonly policy: FilesPolicy; readonly putBack: ReadonlySet<string> },
): MadeAgain<T> {
  const made: Made[] = [];
  const named: Made[] = [];
  const remove = () => {
    for (const { temporary } of made.splice(0)) rmSync(temporary, { force: true });
  };
  try {
    for (const vma of policy === "rollback" ? wholeFiles(state.vmas) : []) {
      if (!putBack.has(vma.path) && !existsSync(vma.path)) made.push(makeOne(vma));
    }
  } catch (error) {
    remove();
    throw error;
  }
  return {
    state: made.length === 0 ? state : renamed(state, made),
    softErrors: made.map(({ path }) => {
      return { kind: "file", id: path, message: `file ${path} was gone and was made again` };
    }),
    name() {
      for (const one of made.splice(0)) {
        rename(one);
        named.push(one);
      }
    },
    undo() {
      for (const { path } of named.splice(0)) rmSync(path, { force: true });
    },
    [Symbol.dispose]: remove,
  };
}

/** One mapping of each file that mappings showed from its first byte to its last. */
function wholeFiles(vmas: readonly Vma[]): Vma[] {
  const wanted = vmas.filter((vma) => isSharedWritable(vma) && !vma.deleted && vma.file?.owner !== undefined);
  const first = wanted.filter((vma, index) => wanted.findIndex(({ path }) => path === vma.path) === index);
  return first.filter(({ path, file }) => {
    let end = 0n;
    const ranges = wanted
      .filter((vma) => vma.path === path)
      .map((vma) => ({ from: vma.offset, to: vma.offset + vma.end - vma.start }))
      .sort((a, b) => Number(a.from - b.from));
    for (const { from, to } of ranges) if (from <= end && to > end) end = to;
    return end >= BigInt(file?.sizeBytes ?? 0);
  });
}

function makeOne({ path, file }: Vma): Made {
  const temporary = path + BEHIND;
  requireFolder(path);
  const fd = create(temporary, path);
  try {
    ftruncateSync(fd, file?.sizeBytes ?? 0);
    const { ino, dev, uid, gid } = fstatSync(fd, { bigint: true });
    const owner = file?.owner ?? { mode: 0o600, uid: Number(uid), gid: Number(gid) };
    if (Number(uid) !== owner.uid || Number(gid) !== owner.gid) fchownSync(fd, owner.uid, owner.gid);
    fchmodSync(fd, owner.mode & MODE_BITS);
    setTime(fd, file?.mtimeNs ?? 0n);
    return { path, temporary, ino, dev: formatDevice(dev) };
  } catch (error) {
    rmSync(temporary, { force: true });
    throw openFailed(path, error);
  } finally {
    closeSync(fd);
  }
}

function create(temporary: string, path: string): number {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  try {
    return openStraight(temporary, flags, 0o600);
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw openFailed(path, error);
  }
  rmSync(temporary, { force: true });
  return openStraight(temporary, flags, 0o600);
}

function requireFolder(path: string): void {
  const folder = dirname(path);
  if (existsSync(folder)) return;
  throw new CrError("FILE_MISSING", `make ${path} again: its folder ${folder} is not there any more`, {
    hint: `make the folder as it was: mkdir -p '${folder}'`,
    data: { path },
  });
}

function renamed<T extends Mappings>(state: T, made: readonly Made[]): T {
  const found = (path: string) => made.find((one) => one.path === path);
  return {
    ...state,
    vmas: state.vmas.map((vma) => {
      const one = isSharedWritable(vma) && !vma.deleted ? found(vma.path) : undefined;
      return one === undefined ? vma : { ...vma, path: one.temporary, ino: one.ino };
    }),
    files: {
      ...state.files,
      descriptions: state.files.descriptions.map((description) => {
        const one =
          description.kind === "regular" && !description.deleted ? found(description.path) : undefined;
        return one === undefined
          ? description
          : { ...description, path: one.temporary, ino: one.ino, dev: one.dev };
      }),
    },
  };
}

function rename({ path, temporary }: Made): void {
  try {
    renameAs(temporary, path, "new");
  } catch (error) {
    if (!isNativeError(error, "EEXIST")) throw error;
    const message = `make ${path} again, which was gone: another file has got its name meanwhile`;
    throw new CrError("FILE_CHANGED", message, {
      hint: "find out who made it, then restore again",
      data: { path },
    });
  }
}
