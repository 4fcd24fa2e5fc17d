/** What a holder of the master of a pseudo-terminal can ask about it (ioctl_tty(2)); nothing is taken out of it. */
import { openSync } from "node:fs";
import { isNativeError } from "./native-error.js";
import { ownCall } from "./own-call.js";

const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;
const TIOCPKT = 0x5420;
const TIOCGETD = 0x5424;
const TIOCGSID = 0x5429;
const TIOCGPTPEER = 0x5441;
const TIOCEXCL = 0x540c;
const FIONREAD = 0x541b;
const TCGETS2 = 0x802c542a;
const TCSETS2 = 0x402c542b;
const TIOCGPTN = 0x80045430;
const TIOCSPTLCK = 0x40045431;
const TIOCGPKT = 0x80045438;
const TIOCGDEV = 0x80045432;
const TIOCGLCKTRMIOS = 0x5456;
const TIOCGPTLCK = 0x80045439;
const TIOCGEXCL = 0x80045440;
/** struct termios2 (asm-generic/termbits.h), struct winsize. */
const TERMIOS2_BYTES = 44;
const WINSIZE_BYTES = 8;
const POLLIN = 1;
const POLLPRI = 2;
const POLLHUP = 0x10;
const O_NOCTTY = 0o400;
const O_RDWR = 2;
const F_SETFL = 4;
/** O_APPEND and O_NONBLOCK. */
const SETTABLE = 0o2000 | 0o4000;

/** How a pair is set. */
export interface PtySettings {
  /** struct termios2 and struct winsize, in hexadecimal. */
  readonly termios: string;
  readonly window: string;
  /** TIOCPKT, and whether the slave may not be opened yet (unlockpt(3)). */
  readonly packet: boolean;
  readonly locked: boolean;
}

/** The settings, asked at cr's descriptor of the master. */
export function ptySettings(master: number): PtySettings {
  return {
    termios: get(master, TCGETS2, TERMIOS2_BYTES).toString("hex"),
    window: get(master, TIOCGWINSZ, WINSIZE_BYTES).toString("hex"),
    packet: get(master, TIOCGPKT, 4).readInt32LE() !== 0,
    locked: get(master, TIOCGPTLCK, 4).readInt32LE() !== 0,
  };
}

/** The session whose controlling terminal it is; null when it is nobody's. */
export function sessionOf(master: number): number | null {
  try {
    return get(master, TIOCGSID, 4).readInt32LE();
  } catch (error) {
    if (isNativeError(error)) return null;
    throw error;
  }
}

/** Device number (stat(2)) of the terminal behind a descriptor, of /dev/tty too; null when it has hung up. */
export function terminalDevice(end: number): bigint | null {
  try {
    return BigInt(get(end, TIOCGDEV, 4).readUInt32LE());
  } catch (error) {
    if (isNativeError(error, "EIO")) return null;
    throw error;
  }
}

/** Whether settings are locked against changes (TIOCSLCKTRMIOS). */
export function hasLockedSettings(master: number): boolean {
  return get(master, TIOCGLCKTRMIOS, TERMIOS2_BYTES).some((byte) => byte !== 0);
}

/** Whether all slaves were closed since one was open: reading the master fails with EIO then. */
export function isHungUp(master: number): boolean {
  return (pollFor(master, 0) & POLLHUP) !== 0;
}

/** N_TTY is 0. */
export function lineDiscipline(master: number): number {
  return get(master, TIOCGETD, 4).readInt32LE();
}

/** Whether a read at this end would find something; asking makes the kernel hand over what is on its way. */
export function hasUnread(end: number): boolean {
  const ready = pollFor(end, POLLIN | POLLPRI);
  // Where all slaves are closed, only the count tells bytes from the end.
  const finds = (ready & POLLPRI) !== 0 || ((ready & POLLIN) !== 0 && (ready & POLLHUP) === 0);
  return finds || get(end, FIONREAD, 4).readInt32LE() > 0;
}

function pollFor(end: number, events: number): number {
  const poll = Buffer.alloc(8);
  poll.writeInt32LE(end, 0);
  poll.writeInt16LE(events, 4);
  ownCall("poll", poll, 1, 0);
  return poll.readInt16LE(6);
}

/** A new pair, by its master; the kernel gives the lowest number that is free. */
export function openMaster(): { readonly fd: number; readonly index: number } {
  const fd = openSync("/dev/ptmx", O_RDWR | O_NOCTTY);
  return { fd, index: get(fd, TIOCGPTN, 4).readInt32LE() };
}

/** A slave end of the master (TIOCGPTPEER needs no name), which must not be locked. */
export function openSlave(master: number, flags: number): number {
  return ownCall("ioctl", master, TIOCGPTPEER, flags | O_NOCTTY);
}

/** Whether this end may not be opened again (TIOCEXCL). */
export function isExclusive(end: number): boolean {
  return get(end, TIOCGEXCL, 4).readInt32LE() !== 0;
}

/** Forbids opening this end again, but to CAP_SYS_ADMIN. */
export function setExclusive(end: number): void {
  ownCall("ioctl", end, TIOCEXCL, 0);
}

/** Lets the slave be opened, or forbids it. */
export function unlock(master: number, locked: boolean): void {
  ownCall("ioctl", master, TIOCSPTLCK, word(locked));
}

/** Sets the pair as it was, its lock included. */
export function setPty(master: number, settings: PtySettings): void {
  ownCall("ioctl", master, TCSETS2, Buffer.from(settings.termios, "hex"));
  ownCall("ioctl", master, TIOCSWINSZ, Buffer.from(settings.window, "hex"));
  ownCall("ioctl", master, TIOCPKT, word(settings.packet));
  unlock(master, settings.locked);
}

/** Status flags of one end. */
export function setFlags(end: number, flags: number): void {
  ownCall("fcntl", end, F_SETFL, flags & SETTABLE);
}

function get(fd: number, what: number, bytes: number): Buffer {
  const value = Buffer.alloc(bytes);
  ownCall("ioctl", fd, what, value);
  return value;
}

function word(on: boolean): Buffer {
  const value = Buffer.alloc(4);
  value.writeInt32LE(on ? 1 : 0);
  return value;
}
