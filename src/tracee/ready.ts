/** Waiting for a descriptor of cr that somebody else has set to O_NONBLOCK (poll(2)). */
import { tryOwnCall } from "./own-call.js";

const EVENTS = { readable: 1, writable: 4 } as const;

/** Blocks until the other side has room or data, or is gone. */
export function waitUntilReady(fd: number, what: keyof typeof EVENTS): void {
  const poll = Buffer.alloc(8);
  poll.writeInt32LE(fd, 0);
  poll.writeInt16LE(EVENTS[what], 4);
  tryOwnCall("poll", poll, 1, -1);
}
