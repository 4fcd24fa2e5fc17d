/** Pseudo-terminals of which the program or the tree has the master: pairs made again in cr, under their number where it is free. */
import { closeSync, fchmodSync, fchownSync, fstatSync } from "node:fs";
import type { FileDescription } from "../state/fd.js";
import type { ObjectOf } from "../state/kernel-object.js";
import type { SoftError } from "../state/soft-error.js";
import { openMaster, openSlave, setExclusive, setFlags, setPty, unlock } from "../tracee/pty.js";

type Pty = FileDescription & { readonly object: ObjectOf<"pty"> };
type Add = (description: FileDescription, fd: number, position: null) => void;

const O_ACCMODE = 0o3;
const O_RDWR = 2;
/** /dev/tty has an owner and a mode of its own. */
const TTY = "5:0";
const MODE_BITS = 0o7777;
/** The kernel gives the lowest free number: so many are taken on the way to the recorded one. */
const TAKEN_MAX = 256;

/** Makes all of them; one with another number than it had is told. */
export function openPtys(wanted: readonly FileDescription[], add: Add): SoftError[] {
  const ptys = wanted.filter((one): one is Pty => one.object?.kind === "pty");
  const softErrors: SoftError[] = [];
  for (const index of new Set(ptys.map(({ object }) => object.index))) {
    const ends = ptys.filter(({ object }) => object.index === index);
    const got = openPair(ends, index, add);
    if (got === index) continue;
    const message = `its pseudo-terminal is /dev/pts/${got} now: /dev/pts/${index} is taken`;
    softErrors.push({ kind: "terminal", id: `/dev/pts/${index}`, message });
  }
  return softErrors;
}

/** Returns the number of the new pair. What was not added is closed when something fails. */
function openPair(ends: readonly Pty[], wantedIndex: number, add: Add): number {
  const { fd: master, index } = masterAt(wantedIndex);
  const [settings] = ends;
  let isGiven = false;
  try {
    unlock(master, false);
    for (const end of ends) {
      const isMaster = end.object.end === "master";
      if (isMaster && isGiven) throw new RangeError("two masters of one pseudo-terminal");
      const fd = isMaster ? master : openSlave(master, end.flags & O_ACCMODE);
      add(end, fd, null);
      isGiven ||= isMaster;
      if (!isMaster && end.rdev !== TTY) putOwner(fd, end);
      setFlags(fd, end.flags);
    }
    if (settings?.object.hungUp) closeSync(openSlave(master, O_RDWR));
    if (settings !== undefined) setPty(master, settings.object);
  } finally {
    if (!isGiven) closeSync(master);
  }
  return index;
}

/** After all ends are open, because nobody can open an exclusive one. */
export function excludeOthers(
  wanted: readonly FileDescription[],
  fdOf: (id: number) => number | undefined,
): void {
  for (const { id, object } of wanted) {
    const fd = fdOf(id);
    if (object?.kind === "pty" && object.exclusive && fd !== undefined) setExclusive(fd);
  }
}

function masterAt(wanted: number): { readonly fd: number; readonly index: number } {
  const others: number[] = [];
  try {
    for (;;) {
      const master = openMaster();
      if (master.index >= wanted || others.length >= TAKEN_MAX) return master;
      others.push(master.fd);
    }
  } finally {
    for (const fd of others) closeSync(fd);
  }
}

/** The kernel gives it to who makes it, with the group and mode of the mount. */
function putOwner(fd: number, { uid, gid, mode }: Pty): void {
  const now = fstatSync(fd);
  if (now.uid !== uid || now.gid !== gid) fchownSync(fd, uid, gid);
  if ((now.mode & MODE_BITS) !== (mode & MODE_BITS)) fchmodSync(fd, mode & MODE_BITS);
}
