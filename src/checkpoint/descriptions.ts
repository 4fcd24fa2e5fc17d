/**
 * Open file descriptions over all processes of a tree: which descriptors of which members are one (kcmp(2)). The kernel
 * gives an order, so that each descriptor is compared with few others.
 */
import { type OpenDescriptor, orderOfDescriptions, stillWatched } from "../tracee/descriptors.js";

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
  const groups: Holder[][] = [];
  const candidates = new Map<string, Holder[][]>();
  for (const { pid, open } of members) {
    for (const one of open) {
      const key = keyOf(one);
      const sorted = candidates.get(key) ?? [];
      candidates.set(key, sorted);
      const { at, isSame } = find(sorted, { pid, one });
      const group = isSame ? sorted[at] : undefined;
      if (group !== undefined) {
        group.push({ pid, one });
        continue;
      }
      const fresh = [{ pid, one }];
      sorted.splice(at, 0, fresh);
      groups.push(fresh);
    }
  }
  return groups;
}

/** What all descriptors of one description have in common: a cheap test before asking the kernel. */
function keyOf({ link, stat, flags, position }: OpenDescriptor): string {
  return `${stat.dev}:${stat.ino}:${flags}:${position}:${link}`;
}

/** Where a descriptor belongs among groups in the kernel's order. */
function find(sorted: readonly Holder[][], { pid, one }: Holder): { at: number; isSame: boolean } {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = sorted[middle]?.[0];
    if (other === undefined) break;
    const order = orderOfDescriptions([pid, one.fd], [other.pid, other.one.fd]);
    if (order === 0) return { at: middle, isSame: true };
    if (order < 0) high = middle;
    else low = middle + 1;
  }
  return { at: low, isSame: false };
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
