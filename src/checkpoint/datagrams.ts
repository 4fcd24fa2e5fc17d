/**
 * Datagrams of UDP that nobody has read: carried where they came from this host's loopback, from where they can be sent
 * again with the address that they had.
 */
import type { ObjectOf } from "../state/kernel-object.js";
import { describeAddress, isLoopback } from "../state/socket-address.js";
import { withGrasp } from "../tracee/grasp.js";
import type { Peeked } from "../tracee/queue-reader.js";
import { memoryOfDatagrams, receivedMemory } from "../tracee/sockets.js";
import type { Held } from "../tracee/tcp-keeper.js";

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const IPPROTO_UDP = 17;

type Socket = ObjectOf<"socket">;
type Options = Readonly<Record<number, readonly number[]>>;

/** By level: when a message came, how and where to it was sent, which is told with it. */
const TELLING: Options = { 1: [29, 35, 37], 0: [8, 12, 13], 41: [49, 51, 66] };
/** SO_REUSEADDR and SO_REUSEPORT. */
const SHARED: Options = { 1: [2, 15] };

/** True for a socket of UDP. */
export function isUdp({ family, type, protocol }: Socket): boolean {
  return (family === AF_INET || family === AF_INET6) && type === SOCK_DGRAM && protocol === IPPROTO_UDP;
}

/** Why unread datagrams in this socket cannot be sent to it again, whatever they are; null when they can. */
export function refusedReceiver({ options }: Socket): string | null {
  const has = (of: Options) =>
    options.some(({ level, name, value }) => of[level]?.includes(name) && /[1-9a-f]/.test(value));
  if (has(TELLING)) return "unread messages that tell more than their sender (SO_TIMESTAMP, IP_PKTINFO, …)";
  if (has(SHARED)) return "unread messages at an address that others may share (SO_REUSEADDR, SO_REUSEPORT)";
  return null;
}

/** Why what a reader found cannot be sent again, or is not all that the kernel counts; null when it can. */
export function refusedDatagrams(held: Held, queue: readonly Peeked[]): string | null {
  const far = queue.find(({ from }) => !isLoopback(Buffer.from(from, "hex")));
  if (far !== undefined) {
    const from = describeAddress(Buffer.from(far.from, "hex"));
    return `unread messages from ${from}, whom nobody can send for (UDP)`;
  }
  const counted = withGrasp(held.pid, held.fd, receivedMemory);
  const found = memoryOfDatagrams(
    queue.map(({ bytes, from }) => ({ bytes, from: Buffer.from(from, "hex") })),
  );
  return found === counted ? null : "unread messages that cannot all be seen (UDP)";
}
