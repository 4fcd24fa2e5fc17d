/** Pseudo-terminals (pty(7)) of which the program or the tree holds both ends, or the only one; others are terminals, or refused by name. */
import { formatDevice } from "../host/device-number.js";
import type { OpenDescriptor } from "../tracee/descriptors.js";
import { ttyIndex } from "../tracee/fdinfo.js";
import { withGrasp } from "../tracee/grasp.js";
import {
  hasLockedSettings,
  hasUnread,
  isExclusive,
  isHungUp,
  lineDiscipline,
  ptySettings,
  sessionOf,
  terminalDevice,
} from "../tracee/pty.js";
import type { Sort, Surroundings } from "./objects.js";

const S_IFMT = 0o170000n;
const S_IFCHR = 0o020000n;
const PTMX_MAJOR = 5;
const PTMX_MINOR = 2;
const SLAVE_MAJOR = 136;
const TTY = "5:0";

interface End {
  readonly end: "master" | "slave";
  readonly index: number;
}

/** Which end of which pair a descriptor is; null for what is none. */
export function ptyEnd({ stat, info }: Pick<OpenDescriptor, "stat" | "info">): End | null {
  if ((stat.mode & S_IFMT) !== S_IFCHR) return null;
  const { major, minor } = numbersOf(stat.rdev);
  if (major === PTMX_MAJOR && minor === PTMX_MINOR) return { end: "master", index: ttyIndex(info) };
  return major === SLAVE_MAJOR ? { end: "slave", index: minor } : null;
}

/** The links under which other holders of the program's pairs are found (host/descriptor-holders.ts). */
export function ptyLinks(open: readonly OpenDescriptor[]): string[] {
  return open.flatMap((one) => {
    const end = ptyEnd(one);
    return end?.end === "master" ? [`ptmx:${end.index}`, slavePath(end.index)] : [];
  });
}

/**
 * One end of a pair; null for a slave whose master is elsewhere, and for what is no pseudo-terminal. /dev/tty of a
 * session in the tree is a slave of its controlling terminal.
 */
export function sortPty(
  one: OpenDescriptor,
  { pid, open, owners, farEnds, inTree }: Surroundings,
): Sort | null {
  const own = ptyEnd(one) ?? openedByTty(pid, one);
  if (own === null) return null;
  const { index, end } = own;
  const isEnd = (which: End["end"]) => (other: OpenDescriptor) => {
    const found = ptyEnd(other);
    return found?.end === which && found.index === index;
  };
  const pidOf = (other: OpenDescriptor) => owners.get(other) ?? pid;
  const master = open.find(isEnd("master"));
  const slave = open.find(isEnd("slave")) ?? (end === "slave" ? one : undefined);
  if (master === undefined) return null;
  const refused = (what: string): Sort => ({ refused: `a pseudo-terminal (${slavePath(index)}) ${what}` });
  const holder = farEnds.holder(`ptmx:${index}`) ?? farEnds.holder(slavePath(index));
  if (holder !== null) return refused(`that process ${holder.pid} (${holder.comm}) holds, too`);
  return withGrasp(pidOf(master), master.fd, (held): Sort => {
    const session = sessionOf(held);
    const isLed = inTree && [...owners.values()].some((member) => member === session);
    if (session !== null && !isLed) return refused(`that is the controlling terminal of session ${session}`);
    if (lineDiscipline(held) !== 0) return refused(`with the line discipline ${lineDiscipline(held)}`);
    if (hasLockedSettings(held)) return refused("with locked settings (TIOCSLCKTRMIOS)");
    const isUnread = hasUnread(held) || (slave && withGrasp(pidOf(slave), slave.fd, hasUnread));
    if (isUnread) return { ...refused("with unread bytes"), passing: true };
    const exclusive = withGrasp(pid, one.fd, isExclusive);
    const hungUp = slave === undefined && isHungUp(held);
    return { kind: "pty", object: { kind: "pty", index, end, exclusive, hungUp, ...ptySettings(held) } };
  });
}

/** The terminal behind /dev/tty. */
function openedByTty(pid: number, { fd, stat }: OpenDescriptor): End | null {
  if ((stat.mode & S_IFMT) !== S_IFCHR || formatDevice(stat.rdev) !== TTY) return null;
  const { major, minor } = numbersOf(withGrasp(pid, fd, terminalDevice) ?? 0n);
  return major === SLAVE_MAJOR ? { end: "slave", index: minor } : null;
}

function slavePath(index: number): string {
  return `/dev/pts/${index}`;
}

/** As of makedev(3). */
function numbersOf(rdev: bigint): { readonly major: number; readonly minor: number } {
  const major = Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn));
  const minor = Number((rdev & 0xffn) | ((rdev >> 12n) & ~0xffn));
  return { major, minor };
}
