/** Controlling terminals of sessions in a tree that are not in it: only that of the root can be the restore's caller's. */
import { statSync } from "node:fs";
import { formatDevice } from "../host/device-number.js";
import type { TreeMember } from "../state/tree.js";
import type { Relative } from "../tracee/kin.js";
import type { ProcStat } from "../tracee/proc-status.js";
import type { ProcessFacts } from "../tracee/process-facts.js";
import { ptyEnd } from "./ptys.js";
import type { Refusal } from "./refusal.js";

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

/** The controlling terminal, from tty_nr of proc_pid_stat(5): the minor number is in bits 0 to 7 and 20 to 31, the major one between. */
export function terminalOf({ ttyNumber, foregroundGroup }: ProcStat): TreeMember["terminal"] {
  if (ttyNumber === 0) return null;
  const major = (ttyNumber >> 8) & 0xfff;
  const minor = (ttyNumber & 0xff) | ((ttyNumber >>> 12) & 0xfff00);
  const dev = `${major}:${minor}`;
  const pts = major >= 136 && major <= 143 ? `/dev/pts/${minor + (major - 136) * 256}` : `/dev/tty${minor}`;
  const stat = statSync(pts, { bigint: true, throwIfNoEntry: false });
  const isIt = stat !== undefined && formatDevice(stat.rdev) === dev;
  return { dev, name: isIt ? pts : null, foregroundGroup };
}
