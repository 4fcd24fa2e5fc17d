/** Sockets: pairs with what waits in them, bound and listening ones; TCP connections are in connections.ts. */
import { chmodSync, chownSync, closeSync, lstatSync, renameSync, rmSync } from "node:fs";
import { CrError } from "../errors.js";
import { nameOf } from "../host/own-descriptors.js";
import type { FileDescription } from "../state/fd.js";
import type { ObjectOf } from "../state/kernel-object.js";
import type { TcpPolicy } from "../state/tcp.js";
import { asUser } from "../tracee/as-user.js";
import { ownCall, tryOwnCall } from "../tracee/own-call.js";
import { setOption } from "../tracee/socket-options.js";
import {
  type Connections,
  checkConnections,
  clearLeftovers,
  isConnection,
  makeConnections,
} from "./connections.js";
import { lookAt } from "./file-look.js";
import { fillQueues, type Opened, OtherEnds } from "./fill-queues.js";
import { connectAgain, connectWidowed, isConnected, isWidowed } from "./named-pairs.js";
import { connectPending } from "./pending.js";
import { placeSocket } from "./socket-place.js";

const AF_UNIX = 1;
const SOCK_CLOEXEC = 0o2000000;
const SHUT_READ = 1;
const SHUT_WRITE = 2;
const F_SETFL = 4;
/** O_APPEND and O_NONBLOCK: what F_SETFL of fcntl(2) can set of a socket besides O_ASYNC. */
const SETTABLE = 0o2000 | 0o4000;
/** For the user. */
const OWN = "a socket of the program";
const ECONNREFUSED = 111;
const MODE_BITS = 0o7777;
const ASIDE = ".cr-aside";

type Socket = ObjectOf<"socket">;
type Described = FileDescription & { readonly object: Socket };
type Add = (description: FileDescription, fd: number, position: null) => void;

/** Files that were made for bound sockets: kept when the program starts, else put back as they were. */
export interface SocketFiles {
  keep(): void;
  /** Sends what waits in them; `opened` has all that the program is to have, by `id` of the description. */
  fill(opened: Opened): void;
  /** Lets TCP connections go on. RESTORE_FAILED. */
  goOn(): void;
  putBack(): void;
}

/** Makes all of them. FILE_CHANGED when a path is in use, RESTORE_FAILED when an address is. */
export function openSockets(
  wanted: readonly FileDescription[],
  { coreFd, tcp: policy }: { readonly coreFd: number; readonly tcp: TcpPolicy },
  add: Add,
): SocketFiles {
  const connections = wanted.filter(isConnection);
  checkConnections(connections, policy);
  clearLeftovers(connections);
  const sockets = wanted.filter(
    (one): one is Described => one.object?.kind === "socket" && !isConnection(one),
  );
  const made = new Map<bigint, number>();
  const put = (one: Described, fd: number) => {
    made.set(one.ino, fd);
    add(one, fd, null);
  };
  const bound: { readonly path: string; readonly aside: string | null }[] = [];
  const others = new OtherEnds();
  let waiting: Connections | null = null;
  const files: SocketFiles = {
    goOn: () => waiting?.goOn(),
    keep: () => {
      for (const { aside } of bound.splice(0)) if (aside !== null) rmSync(aside, { force: true });
    },
    fill: (opened) => {
      fillQueues(sockets, { made, others, coreFd, opened });
      for (const { ino, object, flags } of sockets) finish(made.get(ino) ?? -1, object, flags);
    },
    putBack: () => {
      others[Symbol.dispose]();
      for (const { path, aside } of bound.splice(0)) {
        rmSync(path, { force: true });
        if (aside !== null) renameSync(aside, path);
      }
    },
  };
  try {
    makeFirst(sockets, { made, put, others, bound: (path, aside) => bound.push({ path, aside }) });
    for (const one of sockets.filter(({ object, ino }) => isConnected(object) && !made.has(ino))) {
      connectAgain(one, { sockets, made, put });
    }
    for (const one of sockets.filter(({ object }) => isWidowed(object))) {
      others.keep(one.ino, connectWidowed(one, { sockets, made, put }));
    }
    // Behind the pairs: what waits to be accepted would be accepted for them.
    connectPending(sockets, put);
    // Behind the listening sockets: a connection on the port of one keeps nobody from it in repair mode.
    waiting = makeConnections(connections, {
      ...{ policy, coreFd },
      put: (one, fd) => {
        add(one, fd, null);
        ownCall("fcntl", fd, F_SETFL, one.flags & SETTABLE);
      },
    });
    return files;
  } catch (error) {
    files.putBack();
    throw error;
  }
}

interface First {
  readonly made: ReadonlyMap<bigint, number>;
  readonly put: (one: Described, fd: number) => void;
  readonly others: OtherEnds;
  readonly bound: (path: string, aside: string | null) => void;
}

/** All that connect to no socket with a name. */
function makeFirst(sockets: readonly Described[], { made, put, others, bound }: First): void {
  for (const one of sockets) {
    const { peer, pending } = one.object;
    if (pending !== null || isWidowed(one.object)) continue;
    if (one.object.peerClosed) {
      others.make(one, put);
      setOptions(made.get(one.ino) ?? -1, one.object);
      continue;
    }
    const other = sockets.find(({ ino }) => ino === peer);
    if (other !== undefined && !made.has(one.ino) && !isConnected(one.object)) makePair(one, other, put);
    if (peer === null || other === undefined) {
      const fd = ownCall("socket", one.object.family, one.object.type | SOCK_CLOEXEC, one.object.protocol);
      put(one, fd);
      bindAgain(fd, one.object, bound);
    }
  }
}

function makePair(one: Described, other: Described, put: (one: Described, fd: number) => void): void {
  const { family, type, protocol, peerUser } = one.object;
  const ends = Buffer.alloc(8);
  asUser(peerUser, () => ownCall("socketpair", family, type | SOCK_CLOEXEC, protocol, ends));
  put(one, ends.readInt32LE(0));
  put(other, ends.readInt32LE(4));
  for (const [index, { object }] of [one, other].entries()) setOptions(ends.readInt32LE(index * 4), object);
}

function setOptions(fd: number, { options }: Socket): void {
  for (const option of options) setOption(fd, option);
}

/** Options first: some decide what an address may be shared with. */
function bindAgain(fd: number, socket: Socket, made: (path: string, aside: string | null) => void): void {
  setOptions(fd, socket);
  const { local, remote, file, backlog, peerUser } = socket;
  if (isBound(socket)) {
    if (file !== null) made(file.path, moveAside(file, socket));
    placeSocket("bind", fd, [OWN, local]);
    if (file !== null) giveBack(file);
  }
  // Whoever connects is told who has begun to listen.
  if (backlog !== null) asUser(peerUser, () => ownCall("listen", fd, backlog));
  if (backlog === null && remote !== "") placeSocket("connect", fd, [OWN, remote]);
}

/** An internet socket with port 0 and a unix socket without a name were never bound. */
function isBound({ family, local }: Socket): boolean {
  const address = Buffer.from(local, "hex");
  return family === AF_UNIX ? address.length > 2 : address.length >= 4 && address.readUInt16BE(2) !== 0;
}

/**
 * Moves a dead socket file out of the way, only if nobody answers there: the recorded one, or what a cr that was killed
 * has bound in its place.
 */
function moveAside({ path }: NonNullable<Socket["file"]>, socket: Socket): string | null {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return null;
  if (!stat.isSocket()) throw inUse(path, "another file has its name");
  const probe = ownCall("socket", AF_UNIX, socket.type | SOCK_CLOEXEC, 0);
  const bytes = Buffer.from(socket.local, "hex");
  const result = tryOwnCall("connect", probe, bytes, bytes.length);
  closeSync(probe);
  if (result !== -ECONNREFUSED) throw inUse(path, "somebody answers there");
  renameSync(path, path + ASIDE);
  return path + ASIDE;
}

/** Of the very socket, whatever somebody puts in its place meanwhile. */
function giveBack({ path, mode, uid, gid }: NonNullable<Socket["file"]>): void {
  const { fd, stat } = lookAt(path);
  try {
    if (!stat.isSocket()) throw inUse(path, "it was replaced");
    chmodSync(nameOf(fd), mode & MODE_BITS);
    if (process.getuid?.() === 0) chownSync(nameOf(fd), uid, gid);
  } finally {
    closeSync(fd);
  }
}

function inUse(path: string, why: string): CrError {
  return new CrError("FILE_CHANGED", `restore the socket ${path}: ${why}`, {
    hint: "end what uses it or remove it, and try again",
    data: { path },
  });
}

function finish(fd: number, { shutdown }: Socket, flags: number): void {
  if (shutdown & SHUT_WRITE) ownCall("shutdown", fd, 1);
  if (shutdown & SHUT_READ) ownCall("shutdown", fd, 0);
  ownCall("fcntl", fd, F_SETFL, flags & SETTABLE);
}
