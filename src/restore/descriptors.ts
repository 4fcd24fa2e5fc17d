/** Moves the inherited descriptors of a newborn to their recorded numbers and closes the rest. */
import type { RemoteCall } from "../tracee/remote.js";
import type { DescriptorTable } from "./files.js";
import type { Workshop } from "./workshop.js";

const O_CLOEXEC = 0o2000000;
const SEEK_SET = 0;
const LAST_FD = 0xffff_ffff;

/** `base` is where the first of `prepared.sources` stands in the newborn. */
export function placeDescriptors(workshop: Workshop, prepared: DescriptorTable, base: number): void {
  const used = new Set(prepared.descriptors.map(({ source }) => source));
  const seeks = prepared.sources.flatMap(({ position }, index): RemoteCall[] =>
    position === null || !used.has(index)
      ? []
      : [{ name: "lseek", args: [base + index, position, SEEK_SET] }],
  );
  const taken = new Set([...prepared.descriptors, ...prepared.inside].map(({ fd }) => fd));
  const unwanted = [0, 1, 2].filter((fd) => !taken.has(fd));
  // What the caller's own 0 to 2 are goes only where it is asked for: the sources are copies at high numbers.
  const dups = prepared.descriptors.map(
    ({ fd, cloexec, source }): RemoteCall => ({
      name: "dup3",
      args: [base + source, fd, cloexec ? O_CLOEXEC : 0],
    }),
  );
  workshop.run("place its descriptors", [
    ...seeks,
    ...dups,
    // Unlike close(2) it does not mind when there is none.
    ...unwanted.map((fd): RemoteCall => ({ name: "close_range", args: [fd, fd, 0] })),
  ]);
}

/** Closes everything from `base` on: what was inherited for the work. */
export function closeInherited(workshop: Workshop, base: number): void {
  workshop.run("close what it does not need", [{ name: "close_range", args: [base, LAST_FD, 0] }]);
}
