/** Connections of the program to itself that nobody had accepted: made again in their order, and left waiting. */
import { CrError } from "../errors.js";
import type { FileDescription } from "../state/fd.js";
import type { ObjectOf } from "../state/kernel-object.js";
import { describeAddress } from "../state/socket-address.js";
import { asUser } from "../tracee/as-user.js";
import { removeLeftover } from "../tracee/inet-diag.js";
import { errnoName } from "../tracee/native.js";
import { ownCall, tryOwnCall } from "../tracee/own-call.js";
import { setOption } from "../tracee/socket-options.js";

const AF_UNIX = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;

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
    asUser(one, () => must("connect", fd, remote));
  }
}

/** What the dead program left of the connection (TIME_WAIT) does not keep it from its port. */
function bindOnce(fd: number, { local, options }: ObjectOf<"socket">): void {
  const reuse = (on: boolean) =>
    setOption(fd, { level: SOL_SOCKET, name: SO_REUSEADDR, value: on ? "01000000" : "00000000" });
  const isKept = options.some(({ level, name }) => level === SOL_SOCKET && name === SO_REUSEADDR);
  if (!isKept) reuse(true);
  must("bind", fd, local);
  if (!isKept) reuse(false);
}

function must(what: "bind" | "connect", fd: number, address: string): void {
  const bytes = Buffer.from(address, "hex");
  const result = tryOwnCall(what, fd, bytes, bytes.length);
  if (result >= 0) return;
  const where = describeAddress(bytes);
  throw new CrError(
    "RESTORE_FAILED",
    `cannot ${what} a socket of the program that waited to be accepted to ${where}: ${errnoName(-result)}`,
    { hint: "end what uses the address (ss -lnp shows it), and try again", data: { address: where } },
  );
}
