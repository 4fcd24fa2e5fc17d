/**
 * Descriptors that only the program itself can make, after those it inherits are in place: epoll instances, which
 * know what they watch by number, and files of /proc, which show whoever opens them.
 */
import { procPathFor } from "../tracee/proc-path.js";
import type { RemoteCall } from "../tracee/remote.js";
import { Arguments } from "./arguments.js";
import { fillEpolls } from "./epoll.js";
import type { DescriptorTable, InsideDescriptor } from "./files.js";
import type { Workshop } from "./workshop.js";

const O_CLOEXEC = 0o2000000;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const AT_FDCWD = -100;
const SEEK_SET = 0;
/** O_CREAT, O_EXCL, O_TRUNC and O_ASYNC. */
const NOT_AGAIN = 0o100 | 0o200 | 0o1000 | 0o20000;

/** Makes them at their numbers, then lets epoll instances watch. `recordedPid` is the pid that paths name. */
export function makeInside(
  workshop: Workshop,
  { inside, watching = [] }: Pick<DescriptorTable, "inside" | "watching">,
  recordedPid: number,
): void {
  for (const id of new Set(inside.map(({ description }) => description.id))) {
    makeOne(
      workshop,
      inside.filter(({ description }) => description.id === id),
      recordedPid,
    );
  }
  fillEpolls(workshop, [...inside, ...watching]);
}

/** The kernel chooses the number; it is one of the wanted, or free, since all others are in place. */
function makeOne(workshop: Workshop, twins: readonly InsideDescriptor[], recordedPid: number): void {
  const [first] = twins;
  if (first === undefined) return;
  const args = new Arguments(workshop.data);
  const { kind, path, flags, position } = first.description;
  const create: RemoteCall =
    kind === "epoll"
      ? { name: "epoll_create1", args: [0] }
      : {
          name: "openat",
          args: [
            AT_FDCWD,
            args.text(procPathFor(path, recordedPid, workshop.newborn.pid)),
            flags & ~NOT_AGAIN,
          ],
        };
  const [chosen = 0n] = workshop.run(`open ${path} again`, [create], args.bytes());
  const isWanted = twins.some(({ fd }) => BigInt(fd) === chosen);
  workshop.run("place what it made", [
    ...(position > 0n ? [{ name: "lseek", args: [chosen, position, SEEK_SET] } as const] : []),
    ...twins.map(({ fd, cloexec }): RemoteCall => {
      return BigInt(fd) === chosen
        ? { name: "fcntl", args: [fd, F_SETFD, cloexec ? FD_CLOEXEC : 0] }
        : { name: "dup3", args: [chosen, fd, cloexec ? O_CLOEXEC : 0] };
    }),
    ...(isWanted ? [] : [{ name: "close", args: [chosen] } as const]),
  ]);
}
