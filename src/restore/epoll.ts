/** What epoll instances watch, added by the program itself once all its descriptors are in place. */
import type { RemoteCall } from "../tracee/remote.js";
import { Arguments } from "./arguments.js";
import type { InsideDescriptor } from "./files.js";
import type { Workshop } from "./workshop.js";

const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_MOD = 3;
const EPOLLONESHOT = 0x4000_0000;
/** EPOLLONESHOT, EPOLLET, EPOLLWAKEUP, EPOLLEXCLUSIVE: how to watch, not for what (fs/eventpoll.c). */
const PRIVATE_BITS = 0xf000_0000;
/** EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLRDHUP: mostly one of them is ready. */
const ANY_EVENT = 0x2007;
/** struct epoll_event is packed on x86-64: events, data. */
const EVENT_BYTES = 12;

type Watch = { readonly fd: number; readonly events: number; readonly data: bigint };

/** Adds what each instance watches; duplicates of one instance are filled once. */
export function fillEpolls(workshop: Workshop, inside: readonly InsideDescriptor[]): void {
  const added = new Set<number>();
  for (const { fd, description } of inside) {
    if (description.kind !== "epoll" || added.has(description.id)) continue;
    added.add(description.id);
    const watches = description.watches ?? [];
    for (const watch of watches.filter(hasFired)) addFired(workshop, fd, watch);
    const args = new Arguments(workshop.data);
    const rest = watches.filter((watch) => !hasFired(watch));
    const calls = rest.map((watch) => control(fd, EPOLL_CTL_ADD, { watch, args }));
    workshop.run("fill its epolls", calls, args.bytes());
  }
}

/** A one-shot watch that has told its event waits for EPOLL_CTL_MOD and tells nothing, not even a hang-up. */
function hasFired({ events }: Watch): boolean {
  return (events & EPOLLONESHOT) !== 0 && (events & ~PRIVATE_BITS) >>> 0 === 0;
}

/**
 * Adding always asks for errors and hang-ups, and only telling an event ends that: so it is watched for anything
 * first, and the event taken, before anything else is watched. Where nothing is ready it stays with errors and
 * hang-ups.
 */
function addFired(workshop: Workshop, fd: number, watch: Watch): void {
  const args = new Arguments(workshop.data);
  const armed = { ...watch, events: watch.events | ANY_EVENT };
  const told = args.put(Buffer.alloc(EVENT_BYTES));
  const [, events] = workshop.run(
    "fill its epolls",
    [control(fd, EPOLL_CTL_ADD, { watch: armed, args }), { name: "epoll_wait", args: [fd, told, 1, 0] }],
    args.bytes(),
  );
  if (events !== 0n) return;
  const again = new Arguments(workshop.data);
  workshop.run("fill its epolls", [control(fd, EPOLL_CTL_MOD, { watch, args: again })], again.bytes());
}

function control(
  fd: number,
  how: number,
  { watch, args }: { readonly watch: Watch; readonly args: Arguments },
): RemoteCall {
  const event = Buffer.alloc(EVENT_BYTES);
  event.writeUInt32LE(watch.events >>> 0, 0);
  event.writeBigUInt64LE(watch.data, 4);
  return { name: "epoll_ctl", args: [fd, how, watch.fd, args.put(event)] };
}
