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

/** True for what was such an end, and the other one has been closed. */
export function isWidowed({ peerClosed, local, remote }: Socket): boolean {
  return peerClosed && (hasName(local) || hasName(remote));
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
  if (accepted === undefined || connected === undefined) {
    throw failed(accepted?.object.local ?? "", "nobody in the core has the other end");
  }
  meet(accepted.object.local, {
    ...{ sort: connected.object, client: accepted.object.peerUser, sockets, made },
    connected: (fd) => put(connected, fd),
    accepted: (fd) => put(accepted, fd),
  });
  for (const end of [connected, accepted]) setAll(made.get(end.ino) ?? -1, end.object);
}

/** The same for an end whose other end has been closed; that one, in cr. RESTORE_FAILED. */
export function connectWidowed(one: Described, { sockets, made, put }: AmongSockets): number {
  const isAccepted = hasName(one.object.local);
  let other = -1;
  const mine = (fd: number) => put(one, fd);
  const its = (fd: number) => {
    other = fd;
  };
  meet(isAccepted ? one.object.local : one.object.remote, {
    ...{ sort: one.object, client: isAccepted ? one.object.peerUser : one, sockets, made },
    connected: isAccepted ? its : mine,
    accepted: isAccepted ? mine : its,
  });
  setAll(made.get(one.ino) ?? -1, one.object);
  return other;
}

interface Meeting {
  readonly sort: Socket;
  /** Who is said to connect. */
  readonly client: { readonly uid: number; readonly gid: number } | null;
  readonly sockets: readonly Described[];
  readonly made: ReadonlyMap<bigint, number>;
  readonly connected: (fd: number) => void;
  readonly accepted: (fd: number) => void;
}

function meet(name: string, { sort, client, sockets, made, connected, accepted }: Meeting): void {
  const listening = sockets.find(({ object }) => object.backlog !== null && object.local === name);
  const at = listening && made.get(listening.ino);
  if (at === undefined) throw failed(name, "nobody in the core listens there");
  const fd = ownCall("socket", sort.family, sort.type | SOCK_CLOEXEC, sort.protocol);
  connected(fd);
  const address = Buffer.from(name, "hex");
  const result = asUser(client, () => tryOwnCall("connect", fd, address, address.length));
  if (result < 0) throw failed(name, errnoName(-result));
  accepted(ownCall("accept4", at, 0, 0, SOCK_CLOEXEC));
}

function setAll(fd: number, { options }: Socket): void {
  for (const option of options) setOption(fd, option);
}

function failed(name: string, why: string): CrError {
  const where = describeAddress(Buffer.from(name, "hex"));
  return new CrError("RESTORE_FAILED", `cannot connect a socket of the program to ${where}: ${why}`, {
    hint: "see that the path of the socket is as it was, and try again",
    data: { address: where },
  });
}
