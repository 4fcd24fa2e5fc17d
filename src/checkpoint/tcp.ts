/** TCP connections as they are found: with both ends inside, or with a peer outside, who is named. */
import type { ObjectOf } from "../state/kernel-object.js";
import { describeAddress } from "../state/socket-address.js";
import type { Tcp } from "../state/tcp.js";
import type { OpenDescriptor } from "../tracee/descriptors.js";
import { withGrasp } from "../tracee/grasp.js";
import { tcpSocketAt } from "../tracee/inet-diag.js";
import type { SocketFacts } from "../tracee/sockets.js";
import { buffersOf, layerOf } from "../tracee/tcp-facts.js";
import type { Surroundings } from "./objects.js";

const STATE = { established: 1, finWait2: 5, closeWait: 8 } as const;
const STANDARD_FDS_MAX = 2;
const SHUT_WRITE = 2;

/** Both ends are here, and what is on its way between them, a first or a last word, gets there in a moment. */
export const ON_ITS_WAY = "with a connection that is being made or ended (TCP)";

type Connected = Pick<ObjectOf<"socket">, "tcp" | "shutdown">;

/** A connection, or why it cannot be saved: the words go after `a socket (…)`. */
export function sortConnection(
  one: OpenDescriptor,
  facts: SocketFacts,
  { pid, open, farEnds }: Surroundings,
): Connected | string {
  const state = facts.tcp?.state ?? 0;
  const layer = withGrasp(pid, one.fd, layerOf);
  if (layer !== "") return `with a layer of its own (${layer}) over TCP`;
  const reversed = { local: facts.remote, remote: facts.local };
  const peer = facts.remote === "" ? null : tcpSocketAt(reversed);
  const inside = open.find(({ stat }) => stat.isSocket() && stat.ino === peer?.inode);
  const plain = { receivedBytes: 0, sentBytes: 0, unsentBytes: 0, kept: null };
  const buffers = withGrasp(pid, one.fd, buffersOf);
  if (inside !== undefined) {
    if (!isWhole(state)) return ON_ITS_WAY;
    const shutdown = state === STATE.finWait2 ? SHUT_WRITE : 0;
    const tcp = { peer: inside.stat.ino, far: inside.link, policy: "keep" as const, buffers, ...plain };
    return { tcp, shutdown };
  }
  const far =
    facts.remote === "" ? "a peer that is gone" : farEndAt(facts.remote, peer?.inode ?? 0n, farEnds);
  const { tcp: policy } = farEnds;
  if (policy === "refuse" || one.fd <= STANDARD_FDS_MAX) return `with a connection to ${far} (TCP)`;
  if (policy === "keep" && state !== STATE.established)
    return `with a connection to ${far} that is being made or ended (TCP)`;
  return { tcp: { peer: null, far, policy, buffers, ...plain } satisfies Tcp, shutdown: 0 };
}

function isWhole(state: number): boolean {
  return state === STATE.established || state === STATE.finWait2 || state === STATE.closeWait;
}

/** The address, and whose descriptor it is when the other end is on this host. */
function farEndAt(remote: string, inode: bigint, farEnds: Surroundings["farEnds"]): string {
  const address = describeAddress(Buffer.from(remote, "hex"));
  const holder = inode === 0n ? null : farEnds.describe(`socket:[${inode}]`);
  return holder === null ? address : `${address}, which ${holder}`;
}
