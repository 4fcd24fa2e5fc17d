/** What the program itself puts back on its open files: who gets their signals, POSIX locks and leases. */
import type { RemoteCall } from "../tracee/remote.js";
import { Arguments } from "./arguments.js";
import type { InsideDescriptor } from "./files.js";
import { lockRange } from "./locks.js";
import type { Workshop } from "./workshop.js";

const F_SETFL = 4;
const F_SETLK = 6;
const F_SETSIG = 10;
const F_SETOWN_EX = 15;
const F_SETLEASE = 1024;
const F_RDLCK = 0;
const F_WRLCK = 1;
const O_ASYNC = 0o20000;

/**
 * After everything inherited is closed: closing any descriptor of a file ends a process's POSIX locks on it. Owners
 * that were the process itself are so under its present pid, too.
 */
export function putStatus(
  workshop: Workshop,
  restored: readonly InsideDescriptor[],
  recordedPid: number,
): void {
  for (const { fd, description } of restored) {
    const { owner, locks, flags, path } = description;
    const args = new Arguments(workshop.data);
    const calls: RemoteCall[] = [];
    for (const lock of locks) {
      if (lock.how === "posix") calls.push({ name: "fcntl", args: [fd, F_SETLK, args.put(lockRange(lock))] });
      if (lock.how === "lease") {
        calls.push({ name: "fcntl", args: [fd, F_SETLEASE, lock.type === "read" ? F_RDLCK : F_WRLCK] });
      }
    }
    if (owner !== null) {
      const id = owner.id === recordedPid ? workshop.newborn.pid : owner.id;
      const ex = BigInt(owner.type) | (BigInt(workshop.newborn.numberOf(id)) << 32n);
      calls.push({ name: "fcntl", args: [fd, F_SETOWN_EX, args.words(ex)] });
      calls.push({ name: "fcntl", args: [fd, F_SETSIG, owner.signal] });
    }
    if (flags & O_ASYNC) calls.push({ name: "fcntl", args: [fd, F_SETFL, flags] });
    workshop.run(`put back locks and signals of ${path}`, calls, args.bytes());
  }
}
