/**
 * What waits in sockets, sent again by their other ends: message by message, with the descriptors that are on their
 * way. Comes after everything is open, because anything may be on its way.
 */
import { closeSync } from "node:fs";
import { CrError } from "../errors.js";
import { readPadded } from "../file-bytes.js";
import type { FileDescription } from "../state/fd.js";
import type { Message, ObjectOf } from "../state/kernel-object.js";
import { asUser } from "../tracee/as-user.js";
import { ownCall } from "../tracee/own-call.js";
import { sendMessage } from "../tracee/send-message.js";
import { coreOf } from "./content.js";
import { deliver } from "./datagrams.js";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;

type Described = FileDescription & { readonly object: ObjectOf<"socket"> };

/** Descriptors of cr's by `id` of the description. */
export type Opened = ReadonlyMap<number, { readonly fd: number }>;

/** Ends of pairs that the program had closed: open until what they had sent is sent again. */
export class OtherEnds implements Disposable {
  readonly #ends = new Map<bigint, number>();

  /** Makes the pair; the end that the program has is `put`. Throws `NativeError`. */
  make(one: Described, put: (one: Described, fd: number) => void): void {
    const ends = Buffer.alloc(8);
    const { family, type, protocol, peerUser } = one.object;
    asUser(peerUser, () => ownCall("socketpair", family, type | SOCK_CLOEXEC, protocol, ends));
    this.#ends.set(one.ino, ends.readInt32LE(4));
    put(one, ends.readInt32LE(0));
  }

  /** Keeps one that was made elsewhere. */
  keep(ino: bigint, fd: number): void {
    if (fd >= 0) this.#ends.set(ino, fd);
  }

  /** The one that belongs to the socket with this inode. */
  of(ino: bigint): number | undefined {
    return this.#ends.get(ino);
  }

  /** Closes it. With something unread in it the program's end is reset (unix(7): ECONNRESET). */
  close(ino: bigint, { own, reset }: { readonly own: number; readonly reset: boolean }): void {
    const fd = this.#ends.get(ino);
    if (fd === undefined) return;
    if (reset) ownCall("sendto", own, Buffer.alloc(1), 1, MSG_DONTWAIT_NOSIGNAL, 0, 0);
    closeSync(fd);
    this.#ends.delete(ino);
  }

  [Symbol.dispose](): void {
    for (const fd of this.#ends.values()) closeSync(fd);
    this.#ends.clear();
  }
}

interface Filling {
  readonly made: ReadonlyMap<bigint, number>;
  readonly others: OtherEnds;
  readonly coreFd: number;
  readonly opened: Opened;
}

/** Fills all, then closes the ends that were closed. NativeError, CORE_CORRUPT, RESTORE_FAILED. */
export function fillQueues(sockets: readonly Described[], { made, others, coreFd, opened }: Filling): void {
  for (const one of sockets) {
    const { peer } = one.object;
    const from = peer === null ? others.of(one.ino) : made.get(peer);
    if (one.content === null) continue;
    const own = made.get(one.ino) ?? -1;
    const byUdp = (bytes: Buffer, sender: string) =>
      deliver({ bytes, from: sender, to: one, fd: own, sockets, made });
    if (from !== undefined) fill(one, one.content, { from, coreFd, opened });
    else if (one.object.family !== AF_UNIX)
      eachMessage(one, { content: one.content, coreFd }, (part, { from: sender }) => byUdp(part, sender));
  }
  for (const { ino, object } of sockets) {
    others.close(ino, { own: made.get(ino) ?? -1, reset: object.peerReset });
  }
}

function fill(
  one: Described,
  content: NonNullable<FileDescription["content"]>,
  { from, coreFd, opened }: { readonly from: number; readonly coreFd: number; readonly opened: Opened },
): void {
  eachMessage(one, { content, coreFd }, (part, message) => {
    const passed = message.passed.map((id) => opened.get(id)?.fd ?? lost(one.path, id));
    send(from, { part, passed, isStream: one.object.type === SOCK_STREAM });
  });
}

function eachMessage(
  { object, path }: Described,
  { content, coreFd }: { readonly content: NonNullable<FileDescription["content"]>; readonly coreFd: number },
  act: (part: Buffer, message: Message) => void,
): void {
  const bytes = readPadded(coreOf(content, coreFd), content.lengthBytes, content.fileOffset);
  const messages: readonly Message[] = object.queue ?? [{ bytes: bytes.length, from: "", passed: [] }];
  let at = 0;
  for (const message of messages) {
    const part = bytes.subarray(at, at + message.bytes);
    if (part.length < message.bytes)
      throw corrupt(`the messages that wait in ${path} are longer than their bytes`);
    act(part, message);
    at += message.bytes;
  }
}

/** A stream may take its bytes in parts: descriptors come with the first. */
function send(
  from: number,
  {
    part,
    passed,
    isStream,
  }: { readonly part: Buffer; readonly passed: readonly number[]; readonly isStream: boolean },
): void {
  let sent = passed.length > 0 ? sendMessage(from, { bytes: part, passed }) : 0;
  if (passed.length > 0 && (!isStream || sent >= part.length)) return;
  do {
    const rest = part.subarray(sent);
    sent += ownCall("sendto", from, rest, rest.length, MSG_DONTWAIT_NOSIGNAL, 0, 0);
  } while (isStream && sent < part.length);
}

function lost(path: string, id: number): never {
  throw corrupt(
    `a descriptor on its way in ${path} is of the open file ${id}, which the program does not have`,
  );
}

function corrupt(what: string): CrError {
  return new CrError("CORE_CORRUPT", `restore the sockets of the program: ${what}`, {
    hint: "take another checkpoint: cr verify tells whether this file was altered",
  });
}
