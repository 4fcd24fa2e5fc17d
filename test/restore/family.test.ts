/** The processes of a tree, made by one another: the plan as such, and real processes that came of it. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { processStatus } from "../../src/host/process-status.js";
import { makeFamily, startImage } from "../../src/restore/family.js";
import { planFamily, type Relative } from "../../src/restore/family-plan.js";
import { openWorkshop } from "../../src/restore/rebuild.js";
import type { TreeMember } from "../../src/state/tree.js";
import { Newborn } from "../../src/tracee/newborn.js";
import { fixture } from "../harness/target.js";
import { message } from "./failure.js";
import { processState } from "./process-state.js";

const EXITED_3 = 3 << 8;
const SIGTERM = 15;

type Member = Relative & Pick<TreeMember, "zombie">;

/** A member in the group and session of the root, 1, unless told otherwise. */
function member(pid: number, parent: number, changes: Partial<Member> = {}): Member {
  return { pid, parent, group: 1, session: 1, exitSignal: 17, zombie: null, ...changes };
}

describe("planFamily", () => {
  test("makes nobody for a root alone, whatever signal tells its end", () => {
    expect(planFamily([member(1, 0, { exitSignal: 0 })])).toMatchObject({
      steps: [],
      ghosts: [],
      softErrors: [],
    });
  });

  test("lets a leader begin its session after those were born that are not in it", () => {
    const { steps } = planFamily([
      member(1, 0),
      member(2, 1, { session: 2, group: 2 }),
      member(3, 2),
      member(4, 2, { session: 2, group: 2 }),
    ]);
    expect(steps.slice(0, 4)).toEqual([
      { do: "make", pid: 2, by: 1, sibling: false },
      { do: "make", pid: 3, by: 2, sibling: false },
      { do: "lead", pid: 2 },
      { do: "make", pid: 4, by: 2, sibling: false },
    ]);
  });

  test("lets an orphan be made by the living leader of its session beside which it stands", () => {
    const { steps, ghosts } = planFamily([
      member(1, 0),
      member(2, 1, { session: 2, group: 2 }),
      member(3, 1, { session: 2, group: 2 }),
    ]);
    expect(ghosts).toEqual([]);
    expect(steps).toContainEqual({ do: "make", pid: 3, by: 2, sibling: true });
  });

  test("takes one ghost for the session and the group of a leader that has ended", () => {
    const { steps, ghosts } = planFamily([
      member(1, 0),
      member(3, 1, { session: 2, group: 2 }),
      member(4, 1, { session: 2, group: 2 }),
    ]);
    expect(ghosts).toEqual([2]);
    expect(steps.at(-2)).toEqual({ do: "vanish", pid: 2, parent: 1 });
    expect(steps.at(-1)).toEqual({ do: "forget", pid: 1 });
  });

  test("starts whom others that share memory are copies of, and lets siblings share by one another", () => {
    const { steps, images } = planFamily([
      member(1, 0),
      member(2, 1),
      member(3, 2, { shares: [{ what: "vm", with: 2 }] }),
      member(4, 1, { shares: [{ what: "fs", with: 2 }] }),
    ]);
    expect(steps).toEqual(
      expect.arrayContaining([
        { do: "make", pid: 2, by: 1, sibling: false },
        { do: "start", pid: 2 },
        { do: "make", pid: 3, by: 2, sibling: false, shares: ["vm"] },
        { do: "make", pid: 4, by: 2, sibling: true, shares: ["fs"] },
      ]),
    );
    expect([...images]).toEqual([[3, 2]]);
  });

  test.each<[string, Member[], RegExp]>([
    [
      "a folder that the one in between does not share",
      [member(1, 0), member(2, 1), member(3, 2, { shares: [{ what: "fs", with: 1 }] })],
      /^UNSUPPORTED_STATE: make process 3 again: it shares its fs with process 1, of which none is made by the other$/,
    ],
    [
      "a session whose leader stands elsewhere",
      [
        member(1, 0),
        member(2, 1),
        member(3, 2, { session: 3, group: 3 }),
        member(4, 1, { session: 3, group: 3 }),
      ],
      /^UNSUPPORTED_STATE: make process 4 again: it is in the session of process 3, where its parent 1 never was$/,
    ],
    [
      "a group whose leader has gone to another",
      [member(1, 0), member(2, 1), member(3, 1, { group: 2 })],
      /^UNSUPPORTED_STATE: make process 3 again: it is in the process group 2, which process 2 has left$/,
    ],
    [
      "another signal of its end",
      [member(1, 0), member(2, 1, { exitSignal: 10 })],
      /^UNSUPPORTED_STATE: make process 2 again: its end is told by signal 10, SIGCHLD \(17\) is required$/,
    ],
  ])("refuses %s", (_what, members, said) => {
    expect(message(() => planFamily(members))).toMatch(said);
  });
});

/** Numbers that no process has, the lowest first; far from those the kernel gives next. */
function freePids(count: number): number[] {
  const last = Number(readFileSync("/proc/loadavg", "latin1").split(" ").at(-1));
  const start = last > 16_000 ? 2_000 : 20_000;
  const free: number[] = [];
  for (let pid = start; free.length < count; pid += 1) if (processStatus(pid) === undefined) free.push(pid);
  return free;
}

function statusLine(pid: number, name: string): string {
  return (
    readFileSync(`/proc/${pid}/status`, "latin1").match(new RegExp(`^${name}:\\s*(.*)$`, "m"))?.[1] ?? ""
  );
}

/** Field 52 of /proc/PID/stat: as wait(2) will tell it. */
function exitCode(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/stat`, "latin1").trim().split(" ").at(-1));
}

test("a family has its parents, sessions, groups and dead, and leaves nobody when it goes", () => {
  const [r = 0, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, z1 = 0, z2 = 0, gs = 0, gg = 0] = freePids(11);
  const of = (pid: number, parent: number, changes: Partial<Member> = {}) =>
    member(pid, parent, { group: r, session: r, ...changes });
  const dead = (waitStatus: number) => ({ comm: "late one", waitStatus, uid: 0 });
  const members = [
    of(r, 0),
    of(a, r, { group: a }),
    of(b, a, { group: a }),
    of(c, r, { session: c, group: c }),
    of(d, c),
    of(e, r, { session: gs, group: gs }),
    of(f, r, { group: gg }),
    of(z1, b, { group: gg, zombie: dead(EXITED_3) }),
    of(z2, r, { group: z2, zombie: dead(SIGTERM) }),
  ];
  const plan = planFamily(members);
  expect([...plan.ghosts].sort()).toEqual([gs, gg].sort());
  const exe = fixture("counter");
  using root = Newborn.spawn({
    exe,
    pid: r,
    group: "session",
    personality: 0,
    fds: [],
    fdBase: 64,
    clocks: "",
  });
  const workshop = openWorkshop(root, processState({ vmas: [] }));
  {
    using family = makeFamily({ root: workshop, plan, members, rootGroup: r });
    for (const { pid, parent, group, session, zombie } of members) {
      const found = processStatus(pid);
      expect(found).toMatchObject({ pid, pgid: group, sid: session, state: zombie ? "Z" : "t" });
      if (pid !== r) expect(found?.ppid).toBe(parent);
    }
    expect([z1, z2].map((pid) => [exitCode(pid), processStatus(pid)?.comm])).toEqual([
      [EXITED_3, "late one"],
      [SIGTERM, "late one"],
    ]);
    for (const pid of [gs, gg]) expect(processStatus(pid)).toBeUndefined();
    for (const pid of [r, b]) expect(statusLine(pid, "ShdPnd")).toBe("0000000000000000");
    startImage(family.at(a), { process: { exe: { path: fixture("heap") }, personality: 0 } });
    openWorkshop(family.at(a).newborn, processState({ vmas: [] }));
    expect(processStatus(a)).toMatchObject({ comm: "heap", ppid: r, pgid: a });
    const missing = () =>
      startImage(family.at(b), { process: { exe: { path: "/nowhere" }, personality: 0 } });
    expect(message(missing)).toMatch(/^EXE_MISSING: cannot start \/nowhere/);
  }
  for (const { pid } of members) expect(processStatus(pid)).toBeUndefined();
});
