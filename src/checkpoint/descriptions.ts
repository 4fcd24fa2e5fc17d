/**
 * Open file descriptions over all processes of a tree: which descriptors of which members are one (kcmp(2)). The kernel
 * gives an order, so that each descriptor is compared with few others (tracee/same.ts).
 */
import { type OpenDescriptor, stillWatched } from "../tracee/descriptors.js";
import { firstSame } from "../tracee/same.js";

/** A process and its descriptors. */
export interface Holding {
  readonly pid: number;
  readonly open: readonly OpenDescriptor[];
}

/** One descriptor of one process. */
export interface Holder {
  readonly pid: number;
  readonly one: OpenDescriptor;
}

/** The holders of each description, in order of members and descriptors; the index is its id in the tree. */
export function groupByDescription(members: readonly Holding[]): readonly (readonly Holder[])[] {
  const holders = members.flatMap(({ pid, open }) => open.map((one): Holder => ({ pid, one })));
  const candidates = new Map<string, Holder[]>();
  for (const holder of holders) {
    const key = keyOf(holder.one);
    const alike = candidates.get(key);
    if (alike === undefined) candidates.set(key, [holder]);
    else alike.push(holder);
  }
  const groups = new Map<Holder, Holder[]>();
  for (const alike of candidates.values()) {
    const first = firstSame(
      "file",
      alike.map(({ pid, one: { fd } }) => ({ pid, fd })),
    );
    alike.forEach((holder, index) => {
      const leader = alike[first[index] ?? index] ?? holder;
      if (leader === holder) groups.set(holder, []);
      groups.get(leader)?.push(holder);
    });
  }
  return holders.flatMap((holder) => {
    const group = groups.get(holder);
    return group === undefined ? [] : [group];
  });
}

/** What all descriptors of one description have in common: a cheap test before asking the kernel. */
function keyOf({ link, stat, flags, position }: OpenDescriptor): string {
  return `${stat.dev}:${stat.ino}:${flags}:${position}:${link}`;
}

/**
 * The holder that says what it is: that with the lowest number, because 0, 1 and 2 may lead out of the tree. Of a file
 * under /proc/PID the process itself, where it is one.
 */
export function firstHolder(holders: readonly Holder[]): Holder {
  const [first] = holders;
  if (first === undefined) throw new RangeError("a description without holder");
  const owner = /^\/proc\/(\d+)/.exec(first.one.link)?.[1];
  const itself = holders.find(({ pid }) => String(pid) === owner);
  return (
    itself ?? holders.reduce((lowest, holder) => (holder.one.fd < lowest.one.fd ? holder : lowest), first)
  );
}

type Watches = OpenDescriptor["watches"];

/**
 * What an epoll instance watches, each watch with the first process in which its number is a descriptor of what is
 * watched. Epoll keeps watching a file whose descriptor was closed while a duplicate is open: nobody can add that
 * again, nor one of two watches with one number, so these are `lost`.
 */
export function watchesByMember(holders: readonly Holder[]): {
  readonly of: ReadonlyMap<number, Watches>;
  readonly lost: readonly number[];
} {
  const of = new Map<number, Watches>();
  const watches = holders[0]?.one.watches ?? [];
  const lost: number[] = [];
  for (const watch of watches) {
    const isTwice = watches.some((other) => other !== watch && other.fd === watch.fd);
    const holder = isTwice ? undefined : holders.find(({ pid, one }) => stillWatched(pid, one.fd, watch.fd));
    if (holder === undefined) lost.push(watch.fd);
    else of.set(holder.pid, [...(of.get(holder.pid) ?? []), watch]);
  }
  return { of, lost };
}
