/**
 * Pairs of unix sockets of which one end connected to a name that the other was accepted at: made in the same way
 * again, by the socket of the program that listens there. Pairs without a name are made in sockets.ts.
 */
import { CrError } from "../errors.js";
import type { FileDescription } from "../state/fd.js";
import type { ObjectOf } from "../state/kernel-object.js";
import { describeAddress } from "../state/socket-address.js";
import { asUser } from "../tracee/as-user.js";
import { errnoName } from "../tracee/native.js";
import { ownCall, tryOwnCall } from "../tracee/own-call.js";
import { setOption } from "../tracee/socket-options.js";

const SOCK_CLOEXEC = 0o2000000;
/** Hexadecimal digits of the family in struct sockaddr_un: what is longer has a name. */
const FAMILY_DIGITS = 4;

type Socket = ObjectOf<"socket">;
type Described = FileDescription & { readonly object: Socket };

/** All sockets of the program, and those of them that are made by now, by inode. */
export interface AmongSockets {
  readonly sockets: readonly Described[];
  readonly made: ReadonlyMap<bigint, number>;
  readonly put: (one: Described, fd: number) => void;
}

/** True for either end of such a pair. */
export function isConnected({ peer, local, remote }: Socket): boolean {
  return peer !== null && (hasName(local) || hasName(remote));
}

function hasName(address: string): boolean {
  return address.length > FAMILY_DIGITS;
}

/**
 * Makes both ends: one connects, and the listening socket, which nobody else knows yet, accepts the other.
 * RESTORE_FAILED where it cannot be reached.
 */
export function connectAgain(one: Described, { sockets, made, put }: AmongSockets): void {
  const other = sockets.find(({ ino }) => ino === one.object.peer);
  const [accepted, connected] = hasName(one.object.local) ? [one, other] : [other, one];
  const name = accepted?.object.local ?? "";
  const listening = sockets.find(({ object }) => object.backlog !== null && object.local === name);
  const at = listening && made.get(listening.ino);
  if (accepted === undefined || connected === undefined || at === undefined) {
    throw failed(name, "nobody in the core listens there");
  }
  const { family, type, protocol } = connected.object;
  const fd = ownCall("socket", family, type | SOCK_CLOEXEC, protocol);
  put(connected, fd);
  const address = Buffer.from(name, "hex");
  const { peerUser } = accepted.object;
  const result = asUser(peerUser, () => tryOwnCall("connect", fd, address, address.length));
  if (result < 0) throw failed(name, errnoName(-result));
  const taken = ownCall("accept4", at, 0, 0, SOCK_CLOEXEC);
  put(accepted, taken);
  for (const option of connected.object.options) setOption(fd, option);
  for (const option of accepted.object.options) setOption(taken, option);
}

function failed(name: string, why: string): CrError {
  const where = describeAddress(Buffer.from(name, "hex"));
  return new CrError("RESTORE_FAILED", `cannot connect a socket of the program to ${where}: ${why}`, {
    hint: "see that the path of the socket is as it was, and try again",
    data: { address: where },
  });
}
