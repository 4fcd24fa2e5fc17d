/**
 * Connections that wait to be accepted (listen(2)). Nobody has the accepting end yet, so what was sent to it cannot be
 * read: they are carried while nothing was, and where the other end is in the program, which connects again.
 */
import type { ObjectOf } from "../state/kernel-object.js";
import { describeAddress, isEverywhere } from "../state/socket-address.js";
import type { OpenDescriptor } from "../tracee/descriptors.js";
import { withGrasp } from "../tracee/grasp.js";
import { tcpSocketAt } from "../tracee/inet-diag.js";
import { type SocketFacts, socketFacts, unreadByPeer } from "../tracee/sockets.js";
import { type UnixSocket, unixSocket, waitingClients } from "../tracee/unix-diag.js";
import type { Surroundings } from "./objects.js";

const TCP_ESTABLISHED = 1;
const TCP_LISTEN = 10;
/** sa_family, a port, and the start of an address, in hexadecimal digits. */
const PORT_DIGITS = [4, 8] as const;
const FAMILY_DIGITS = 4;

type Pending = NonNullable<ObjectOf<"socket">["pending"]>;

/** Why the connections that wait at a listening unix socket cannot be saved; null when they can. */
export function refusedClients(
  { stat }: OpenDescriptor,
  { waiting }: UnixSocket,
  { open, owners, farEnds }: Surroundings,
): string | null {
  if (waiting === 0) return null;
  const clients = waitingClients(stat.ino);
  if (clients === null || clients.length !== waiting) return `with ${waiting} connections to accept`;
  for (const inode of clients) {
    if (inode === 0n) return "with a connection to accept that was closed (unix)";
    const client = open.find((each) => each.stat.isSocket() && each.stat.ino === inode);
    if (client === undefined) {
      const holder = farEnds.describe(`socket:[${inode}]`);
      return `with a connection to accept from outside (unix${holder === null ? "" : `, ${holder}`})`;
    }
    const sent = withGrasp(owners.get(client) ?? 0, client.fd, unreadByPeer);
    if (sent > 0) return "with a connection to accept in which bytes wait (unix)";
  }
  return null;
}

/** Where a unix socket whose other end nobody has waits to be accepted; null when it does not. */
export function pendingAt(one: OpenDescriptor, name: string, { open }: Surroundings): Pending | null {
  if (name.length <= FAMILY_DIGITS) return null;
  for (const { stat } of open) {
    const other = stat.isSocket() ? unixSocket(stat.ino) : null;
    if (other?.state !== TCP_LISTEN || other.waiting === 0) continue;
    const place = waitingClients(stat.ino)?.indexOf(one.stat.ino) ?? -1;
    if (place >= 0) return { listener: stat.ino, place };
  }
  return null;
}

/** Why the connections that wait at a listening TCP socket cannot be saved; null when they can. */
export function refusedTcpClients(facts: SocketFacts, { open, owners }: Surroundings): string | null {
  const waiting = facts.tcp?.waiting ?? 0;
  if (waiting === 0) return null;
  let inside = 0;
  for (const one of open.filter(({ stat }) => stat.isSocket())) {
    const pid = owners.get(one) ?? 0;
    const client = withGrasp(pid, one.fd, socketFacts);
    if (client.tcp?.state !== TCP_ESTABLISHED || !leadsTo(client, facts)) continue;
    const far = tcpSocketAt({ local: client.remote, remote: client.local });
    if (far === null || far.inode !== 0n) continue;
    if (far.unread > 0 || withGrasp(pid, one.fd, unreadByPeer) > 0) {
      const from = describeAddress(Buffer.from(client.local, "hex"));
      return `with a connection to accept from ${from} in which bytes wait (TCP)`;
    }
    inside += 1;
  }
  if (inside === waiting) return null;
  return `with ${waiting - inside} connections to accept that are ended, or from outside (TCP)`;
}

/** Where a TCP connection whose other end nobody has waits to be accepted; null when it does not. */
export function pendingTcpAt(facts: SocketFacts, { open, owners }: Surroundings): Pending | null {
  const far = tcpSocketAt({ local: facts.remote, remote: facts.local });
  if (facts.tcp?.state !== TCP_ESTABLISHED || far?.state !== TCP_ESTABLISHED || far.inode !== 0n) return null;
  for (const one of open.filter(({ stat }) => stat.isSocket())) {
    const other = withGrasp(owners.get(one) ?? 0, one.fd, socketFacts);
    if (other.tcp?.state === TCP_LISTEN && other.tcp.waiting > 0 && leadsTo(facts, other))
      return { listener: one.stat.ino, place: 0 };
  }
  return null;
}

/** A listening socket has one address, or all. */
function leadsTo({ remote }: SocketFacts, { local }: SocketFacts): boolean {
  if (remote.slice(...PORT_DIGITS) !== local.slice(...PORT_DIGITS)) return false;
  return remote === local || isEverywhere(Buffer.from(local, "hex"));
}
