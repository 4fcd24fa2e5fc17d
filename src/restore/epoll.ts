/** Epoll instances are made by the newborn itself, after the descriptors they watch are in place. */
import type { RemoteCall } from "../tracee/remote.js";
import { Arguments } from "./arguments.js";
import type { InsideDescriptor } from "./files.js";
import type { Workshop } from "./workshop.js";

const O_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
/** struct epoll_event is packed on x86-64: events, data. */
const EVENT_BYTES = 12;

/** Makes the instances at their numbers, then adds what they watch. */
export function makeEpolls(workshop: Workshop, inside: readonly InsideDescriptor[]): void {
  const made = new Map<number, number>();
  for (const { fd, cloexec, description } of inside) {
    const flags = cloexec ? O_CLOEXEC : 0;
    const twin = made.get(description.id);
    if (twin === undefined) create(workshop, fd, flags);
    else workshop.run("duplicate an epoll", [{ name: "dup3", args: [twin, fd, flags] }]);
    made.set(description.id, twin ?? fd);
  }
  const args = new Arguments(workshop.data);
  const added = new Set<number>();
  const calls = inside.flatMap(({ fd, description }): RemoteCall[] => {
    if (added.has(description.id)) return [];
    added.add(description.id);
    return (description.watches ?? []).map((watch) => ({
      name: "epoll_ctl",
      args: [fd, EPOLL_CTL_ADD, watch.fd, args.put(event(watch.events, watch.data))],
    }));
  });
  workshop.run("fill its epolls", calls, args.bytes());
}

/** The kernel chooses the number; all others are in place, so the chosen one is free or already right. */
function create(workshop: Workshop, fd: number, flags: number): void {
  const [chosen = 0n] = workshop.run("make an epoll", [{ name: "epoll_create1", args: [flags] }]);
  if (chosen === BigInt(fd)) return;
  workshop.run("place an epoll", [
    { name: "dup3", args: [chosen, fd, flags] },
    { name: "close", args: [chosen] },
  ]);
}

function event(events: number, data: bigint): Buffer {
  const bytes = Buffer.alloc(EVENT_BYTES);
  bytes.writeUInt32LE(events >>> 0, 0);
  bytes.writeBigUInt64LE(data, 4);
  return bytes;
}
