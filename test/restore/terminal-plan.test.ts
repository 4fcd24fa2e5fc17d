/** Who takes which terminal of a tree, when, and what cannot be had again. */
import { describe, expect, test } from "vitest";
import { planFamily } from "../../src/restore/family-plan.js";
import {
  type OnTerminal,
  planTerminals,
  requireLeader,
  terminalPlaces,
  terminalsOf,
} from "../../src/restore/terminal-plan.js";
import type { FileDescription } from "../../src/state/fd.js";

const DEV = "136:4";
const own = new Set([DEV]);
const ROOT = { pid: 1, group: 1, session: 1, terminal: null, zombie: null } as const;

function member(pid: number, group: number, changes: Partial<OnTerminal> = {}): OnTerminal {
  const terminal = { dev: DEV, name: "/dev/pts/4", foregroundGroup: 3 };
  return { pid, group, session: 2, terminal, zombie: null, ...changes };
}

describe("planTerminals", () => {
  test("lets the leader take it, others leave it, and names the foreground", () => {
    const plan = planTerminals([ROOT, member(2, 2), member(3, 3), member(4, 2, { terminal: null })], own);
    expect(plan.taken.get(2)).toEqual({ do: "take-terminal", pid: 2, dev: DEV });
    expect(plan.left).toEqual([{ do: "leave-terminal", pid: 4, dev: DEV }]);
    expect(plan.foreground).toEqual([{ do: "foreground", pid: 2, dev: DEV, group: 3 }]);
    expect(plan.softErrors).toEqual([]);
  });

  test("leaves terminals alone that are not the tree's", () => {
    const plan = planTerminals([ROOT, member(2, 2), member(3, 3)], new Set());
    expect([...plan.taken, ...plan.left, ...plan.foreground]).toEqual([]);
  });

  test("tells of a foreground group that has ended", () => {
    expect(planTerminals([ROOT, member(2, 2)], own).softErrors).toEqual([
      {
        kind: "terminal",
        id: "/dev/pts/4",
        message:
          "the process group 3 that terminal /dev/pts/4 had in its foreground has ended: process 2 is there now",
      },
    ]);
  });

  test("refuses one that the leader has not", () => {
    const members = [ROOT, member(2, 2, { terminal: null }), member(3, 3)];
    expect(() => planTerminals(members, own)).toThrow(
      "make process 3 again: its controlling terminal /dev/pts/4 is not that of the leader of its session, 2",
    );
  });
});

test("a terminal is taken before the children are born that inherit it", () => {
  const kin = (one: OnTerminal, parent: number) => ({ ...one, parent, exitSignal: 17 });
  const { steps } = planFamily([kin(ROOT, 0), kin(member(2, 2), 1), kin(member(3, 3), 2)], own);
  expect(steps.map((step) => step.do)).toEqual([
    "make",
    "lead",
    "take-terminal",
    "make",
    "join",
    "foreground",
  ]);
});

test("a root on a terminal of its own tree is restored in the background only", () => {
  const root = member(2, 2);
  expect(() => requireLeader([root], own)).toThrow(
    "make process 2 again: its controlling terminal /dev/pts/4 is one of the tree's own, and in the foreground it has that of cr",
  );
  requireLeader([root], new Set());
  requireLeader([ROOT], own);
});

test("a terminal is the tree's whose master it has, and is found by a slave that can be read", () => {
  const pty = (id: number, end: "master" | "slave", flags: number) =>
    ({ id, flags, object: { kind: "pty", index: 4, end } }) as FileDescription;
  const descriptions = [pty(5, "slave", 1), pty(6, "slave", 2), pty(7, "master", 2)];
  const states = [{ files: { descriptions, descriptors: [] } }];
  expect([...terminalsOf(states)]).toEqual([DEV]);
  const sources = [5, null, 6, 7].map((descriptionId) => ({ descriptionId }));
  expect([...terminalPlaces(states, { sources, base: 100 })]).toEqual([[DEV, 102]]);
});
