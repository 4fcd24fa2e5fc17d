/** Connections of the program to itself that nobody had accepted: made again in their order, and left waiting. */
import type { FileDescription } from "../state/fd.js";
import type { ObjectOf } from "../state/kernel-object.js";
import { asUser } from "../tracee/as-user.js";
import { removeLeftover } from "../tracee/inet-diag.js";
import { ownCall } from "../tracee/own-call.js";
import { setOption } from "../tracee/socket-options.js";
import { placeSocket } from "./socket-place.js";

const AF_UNIX = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
/** For the user. */
const WAITING = "a socket of the program that waited to be accepted";

type Described = FileDescription & { readonly object: ObjectOf<"socket"> };

/**
 * Connects those that wait to sockets that listen by now; each accepts on behalf of nobody else after this.
 * RESTORE_FAILED where the address of one is in use or nobody listens.
 */
export function connectPending(
  sockets: readonly Described[],
  put: (one: Described, fd: number) => void,
): void {
  const place = ({ object }: Described) => object.pending?.place ?? 0;
  const pending = sockets.filter(({ object }) => object.pending !== null).sort((a, b) => place(a) - place(b));
  for (const one of pending) {
    const { family, type, protocol, local, remote, options } = one.object;
    const fd = ownCall("socket", family, type | SOCK_CLOEXEC, protocol);
    put(one, fd);
    for (const option of options) setOption(fd, option);
    if (family !== AF_UNIX) {
      removeLeftover({ local, remote });
      bindOnce(fd, one.object);
    }
    // Whoever accepts is told who has connected.
    asUser(one, () => placeSocket("connect", fd, [WAITING, remote]));
  }
}

/** What the dead program left of the connection (TIME_WAIT) does not keep it from its port. */
function bindOnce(fd: number, { local, options }: ObjectOf<"socket">): void {
  const reuse = (on: boolean) =>
    setOption(fd, { level: SOL_SOCKET, name: SO_REUSEADDR, value: on ? "01000000" : "00000000" });
  const isKept = options.some(({ level, name }) => level === SOL_SOCKET && name === SO_REUSEADDR);
  if (!isKept) reuse(true);
  placeSocket("bind", fd, [WAITING, local]);
  if (!isKept) reuse(false);
}
