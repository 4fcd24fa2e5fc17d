/** Controlling terminals of sessions in a tree that are not in it: only that of the root can be the restore's caller's. */
import type { Relative } from "../tracee/kin.js";
import type { ProcessFacts } from "../tracee/process-facts.js";
import { ptyEnd } from "./ptys.js";
import type { Refusal } from "./refusal.js";
import { terminalOf } from "./tree-manifest.js";

/** One refusal for each session but the root's whose terminal nobody in the tree has made. */
export function refusedTerminals(
  relatives: readonly Relative[],
  looks: ReadonlyMap<number, { readonly facts: ProcessFacts }>,
): Refusal[] {
  const [root] = relatives;
  const own = new Set<string>();
  for (const { facts } of looks.values()) {
    for (const one of facts.descriptors) {
      const end = ptyEnd(one);
      if (end?.end === "master") own.add(`136:${end.index}`);
    }
  }
  const told = new Set([root?.stat.sid]);
  return relatives.flatMap(({ pid, stat, isDead }) => {
    const terminal = isDead || told.has(stat.sid) ? null : terminalOf(stat);
    if (terminal === null || own.has(terminal.dev)) return [];
    told.add(stat.sid);
    const what = `the controlling terminal of session ${stat.sid}, ${terminal.name ?? terminal.dev}, which is not in the tree`;
    return [{ pid, kind: "terminal", id: terminal.name ?? terminal.dev, what }];
  });
}
