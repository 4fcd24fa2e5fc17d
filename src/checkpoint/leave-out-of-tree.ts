/**
 * `--skip` of a checkpoint over all members of a tree; a lone process is a tree of one. `fd:7` is a descriptor of the
 * root, `fd:PID.7` one of another member. What is left out is left out of every member that has the same open file.
 */
import {
  closedWith,
  concerns,
  type LeftOut,
  numberOf,
  withoutDescriptions,
  withoutTimers,
} from "./leave-out.js";
import type { TreeLook } from "./look.js";
import type { Refusal } from "./refusal.js";

/** What was left out, with the member that was named. */
export type LeftOutOfTree = readonly (LeftOut[number] & { readonly pid: number })[];

/** A look without what `skip` names, as far as it is refused and can be left out; nothing else is touched. */
export function leaveOutOfTree(
  look: TreeLook,
  skip: readonly string[],
): { readonly look: TreeLook; readonly leftOut: LeftOutOfTree } {
  const root = look.relatives[0]?.pid ?? 0;
  const refusals = look.refusals.map((refusal) => named(refusal, root));
  const gone = refusals.filter((refusal) => refusal.skip !== undefined && skip.includes(refusal.skip));
  if (gone.length === 0) return { look: { ...look, refusals }, leftOut: [] };
  const memberOf = ({ pid = root }: Refusal) => pid;
  const asked = gone.flatMap((one) => numberOf(one, "fd").map((fd) => ({ pid: memberOf(one), fd })));
  const { descriptions, closed } = closedWith(look.looks, asked);
  const looks = new Map(
    [...look.looks].map(([pid, own]) => {
      const timers = gone.flatMap((one) => (memberOf(one) === pid ? numberOf(one, "timer") : []));
      const files = withoutDescriptions(own.files, descriptions);
      return [
        pid,
        { ...own, files, facts: { ...own.facts, timers: withoutTimers(own.facts.timers, timers) } },
      ];
    }),
  );
  const isAsked = (pid: number, fd: number) => asked.some((one) => one.pid === pid && one.fd === fd);
  const also = [...closed].flatMap(([pid, fds]) =>
    [...fds]
      .filter((fd) => !isAsked(pid, fd))
      .map((fd) => (pid === root ? `${fd}` : `${fd} of process ${pid}`)),
  );
  const others = also.length > 0 ? `, with the descriptors ${also.join(", ")} that belong to it` : "";
  const rest = refusals.filter(
    (one) => !gone.includes(one) && !concerns(one, closed.get(memberOf(one)) ?? new Set()),
  );
  return {
    look: { ...look, looks, refusals: rest },
    leftOut: gone.map((one) => {
      const isFile = numberOf(one, "fd").length > 0;
      return { pid: memberOf(one), skip: one.skip ?? "", what: isFile ? `${one.what}${others}` : one.what };
    }),
  };
}

/** With the words that leave it out: of another member than the root they name it. */
function named(refusal: Refusal, root: number): Refusal {
  const { pid = root, skip } = refusal;
  if (skip === undefined || pid === root || skip.includes(".")) return refusal;
  const [kind, number] = skip.split(":");
  return { ...refusal, skip: `${kind}:${pid}.${number}` };
}
