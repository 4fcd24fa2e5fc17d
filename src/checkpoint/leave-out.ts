/**
 * `--skip KIND:ID`: what is left out of a checkpoint by consent. A descriptor goes with its duplicates, with the other
 * ends of its pipe or pair in the program, and with what epoll instances watch of it: it is closed after a restore.
 */
import type { FileState } from "../state/fd.js";
import type { ProcessNote } from "../state/process.js";
import type { OpenDescriptor } from "../tracee/descriptors.js";
import type { Look } from "./look.js";
import type { Refusal } from "./refusal.js";

export type LeftOut = ProcessNote["leftOut"];

/** What stays and what goes. */
export interface Remaining {
  readonly look: Look;
  readonly leftOut: LeftOut;
}

/** A look without what `skip` names, as far as it is refused and can be left out; nothing else is touched. */
export function leaveOut(look: Look, skip: readonly string[]): Remaining {
  const gone = look.refusals.filter((refusal) => refusal.skip !== undefined && skip.includes(refusal.skip));
  if (gone.length === 0) return { look, leftOut: [] };
  const fds = new Set(gone.flatMap((refusal) => numberOf(refusal, "fd")));
  const timers = gone.flatMap((refusal) => numberOf(refusal, "timer"));
  const { files, alsoClosed } = withoutDescriptors(look.files, look.facts.descriptors, fds);
  const facts = { ...look.facts, timers: withoutTimers(look.facts.timers, timers) };
  const refusals = look.refusals.filter(
    (refusal) => !gone.includes(refusal) && !concerns(refusal, alsoClosed),
  );
  const also = [...alsoClosed].filter((fd) => !fds.has(fd));
  const others = also.length > 0 ? `, with the descriptors ${also.join(", ")} that belong to it` : "";
  return {
    look: { ...look, facts, files, refusals },
    leftOut: gone.map(({ skip = "", what }) => ({
      skip,
      what: skip.startsWith("fd:") ? `${what}${others}` : what,
    })),
  };
}

function numberOf({ skip }: Refusal, kind: string): number[] {
  const [of, number] = skip?.split(":") ?? [];
  return of === kind ? [Number(number)] : [];
}

function concerns({ id }: Refusal, fds: ReadonlySet<number>): boolean {
  return id.startsWith("fd:") && fds.has(Number(id.slice(3)));
}

/** The files without some descriptors, and all that had to go with them. */
export function withoutDescriptors(
  files: FileState,
  open: readonly Pick<OpenDescriptor, "fd" | "stat">[],
  fds: ReadonlySet<number>,
): { readonly files: FileState; readonly alsoClosed: ReadonlySet<number> } {
  const gone = new Set(
    files.descriptors.filter(({ fd }) => fds.has(fd)).map(({ description }) => description),
  );
  for (let before = -1; before < gone.size; ) {
    before = gone.size;
    const inodes = new Set(
      files.descriptors
        .filter(({ description }) => gone.has(description))
        .flatMap(({ fd }) => open.find((one) => one.fd === fd)?.stat.ino ?? []),
    );
    for (const { id, kind, ino, object } of files.descriptions) {
      const isOtherEnd = kind === "pipe" && inodes.has(ino);
      const isPeer = object?.kind === "socket" && object.peer !== null && inodes.has(object.peer);
      if (isOtherEnd || isPeer) gone.add(id);
    }
  }
  const closed = new Set(
    files.descriptors.filter(({ description }) => gone.has(description)).map(({ fd }) => fd),
  );
  const descriptions = files.descriptions
    .filter(({ id }) => !gone.has(id))
    .map((one) => ({ ...one, watches: one.watches?.filter(({ fd }) => !closed.has(fd)) ?? null }));
  const descriptors = files.descriptors.filter(({ fd }) => !closed.has(fd));
  return { files: { ...files, descriptions, descriptors }, alsoClosed: closed };
}

/** /proc/PID/timers tells each timer in lines from `ID: N` on. */
function withoutTimers(text: string, ids: readonly number[]): string {
  if (ids.length === 0) return text;
  return text
    .split(/^(?=ID: )/m)
    .filter((timer) => !ids.some((id) => timer.startsWith(`ID: ${id}\n`)))
    .join("");
}
