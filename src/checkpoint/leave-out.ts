/**
 * `--skip KIND:ID`: what goes with what is left out of a checkpoint by consent. A descriptor goes with its duplicates,
 * with the other ends of its pipe or pair in the program, and with what epoll instances watch of it: it is closed after
 * a restore. Over all members of a tree: leave-out-of-tree.ts.
 */
import type { FileState } from "../state/fd.js";
import type { ProcessNote } from "../state/process.js";
import type { OpenDescriptor } from "../tracee/descriptors.js";
import type { Refusal } from "./refusal.js";

export type LeftOut = ProcessNote["leftOut"];

/** A member as far as its descriptors go. */
interface Holding {
  readonly files: FileState;
  readonly facts: { readonly descriptors: readonly Pick<OpenDescriptor, "fd" | "stat">[] };
}

/** The number in the words of a refusal of this kind, without the member: `fd:7` and `fd:123.7` have 7. */
export function numberOf({ skip }: Refusal, kind: string): number[] {
  const [of, words] = skip?.split(":") ?? [];
  return of === kind ? [Number(words?.split(".").at(-1))] : [];
}

/** Whether a refusal is about one of these descriptors. */
export function concerns({ id }: Refusal, fds: ReadonlySet<number>): boolean {
  return id.startsWith("fd:") && fds.has(Number(id.slice(3)));
}

/** The ids of descriptions that have to go with some descriptors, and which descriptors of each member these are. */
export function closedWith(
  members: ReadonlyMap<number, Holding>,
  asked: readonly { readonly pid: number; readonly fd: number }[],
): { readonly descriptions: ReadonlySet<number>; readonly closed: ReadonlyMap<number, ReadonlySet<number>> } {
  const all = [...members].flatMap(([pid, { files, facts }]) =>
    files.descriptors.map(({ fd, description }) => ({
      ...{ pid, fd, description },
      ino: facts.descriptors.find((one) => one.fd === fd)?.stat.ino,
    })),
  );
  const isAsked = (pid: number, fd: number) => asked.some((one) => one.pid === pid && one.fd === fd);
  const gone = new Set(all.filter(({ pid, fd }) => isAsked(pid, fd)).map(({ description }) => description));
  for (let before = -1; before < gone.size; ) {
    before = gone.size;
    const inodes = new Set(all.filter(({ description }) => gone.has(description)).map(({ ino }) => ino));
    for (const { id, kind, ino, object } of [...members.values()].flatMap(
      ({ files }) => files.descriptions,
    )) {
      const isOtherEnd = kind === "pipe" && inodes.has(ino);
      const isPeer = object?.kind === "socket" && object.peer !== null && inodes.has(object.peer);
      if (isOtherEnd || isPeer) gone.add(id);
    }
  }
  const closed = new Map<number, Set<number>>();
  for (const { pid, fd } of all.filter(({ description }) => gone.has(description))) {
    closed.set(pid, (closed.get(pid) ?? new Set()).add(fd));
  }
  return { descriptions: gone, closed };
}

/** The files of a member without some descriptions, and without what epoll instances watch of them. */
export function withoutDescriptions(files: FileState, gone: ReadonlySet<number>): FileState {
  const closed = new Set(
    files.descriptors.filter(({ description }) => gone.has(description)).map(({ fd }) => fd),
  );
  const descriptions = files.descriptions
    .filter(({ id }) => !gone.has(id))
    .map((one) => ({ ...one, watches: one.watches?.filter(({ fd }) => !closed.has(fd)) ?? null }));
  const descriptors = files.descriptors.filter(({ fd }) => !closed.has(fd));
  return { ...files, descriptions, descriptors };
}

/** /proc/PID/timers tells each timer in lines from `ID: N` on. */
export function withoutTimers(text: string, ids: readonly number[]): string {
  if (ids.length === 0) return text;
  return text
    .split(/^(?=ID: )/m)
    .filter((timer) => !ids.some((id) => timer.startsWith(`ID: ${id}\n`)))
    .join("");
}
