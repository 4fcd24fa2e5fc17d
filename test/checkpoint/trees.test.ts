/**
 * A process with its descendants in one checkpoint: who is in it and what is between them, one name for what is one
 * thing, one instant for all, and nobody harmed.
 */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkpoint } from "../../src/checkpoint/checkpoint.js";
import { describeResult } from "../harness/cr.js";
import { checkpoint as runCheckpoint } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { membersOf, readBundle, startFamily } from "../harness/family.js";
import { isAlive, runsFreely, statOf } from "../harness/process.js";
import { listing } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

describe("a family", () => {
  test("is in the manifest with parents, groups, sessions and the status of the dead", () =>
    withScene(async (scene) => {
      const { pid, ids } = await startFamily(scene);
      const members = membersOf(pid);
      const core = join(scene.folder, "tree");
      const result = await checkpoint(pid, { output: core });
      expect(result).toMatchObject({ pid, core, processes: 6, threads: 4 });
      expect(members.every(runsFreely)).toBe(true);
      const { tree, states, files } = readBundle(core);
      const byPid = new Map(tree.members.map((member) => [member.pid, member]));
      const of = (one: number) => byPid.get(one);
      expect(tree).toMatchObject({ root: pid, softErrors: [] });
      expect(of(ids.dead)).toMatchObject({
        parent: pid,
        core: null,
        zombie: { comm: "python3", waitStatus: 7 << 8 },
      });
      expect(of(ids.killed)).toMatchObject({ parent: pid, core: null, zombie: { waitStatus: 9, uid: 0 } });
      expect(of(ids.leader)).toMatchObject({
        session: ids.leader,
        group: ids.leader,
        zombie: null,
        terminal: null,
      });
      expect(of(ids.alone)).toMatchObject({ session: of(pid)?.session, group: ids.alone });
      const orphan = tree.members.find((member) => !(Object.values(ids) as number[]).includes(member.pid));
      expect(orphan).toMatchObject({ parent: pid, group: of(pid)?.group, exitSignal: 17 });
      expect(files).toEqual([...members.map((member) => `core.${member.pid}`), "manifest.json"].sort());
      expect([...states.values()].map(({ process }) => process.tree)).toEqual(members.map(() => pid));
    }));

  test("has one name for what is one thing, and its bytes once", () =>
    withScene(async (scene) => {
      const { pid, ids } = await startFamily(scene);
      const core = join(scene.folder, "tree");
      await checkpoint(pid, { output: core });
      const { tree, states } = readBundle(core);
      const [root, leader] = [states.get(pid), states.get(ids.leader)];
      if (root === undefined || leader === undefined) throw new Error("a core is missing");
      for (const { fd, description } of root.files.descriptors) {
        expect(leader.files.descriptors, `descriptor ${fd}`).toContainEqual({
          fd,
          description,
          cloexec: fd > 2,
        });
      }
      const contained = root.files.descriptions.filter(({ content }) => content !== null);
      expect(contained.map(({ kind, content }) => [kind, content?.lengthBytes])).toEqual([
        ["pipe", 11],
        ["socket", 13],
        ["regular", 7],
      ]);
      for (const { id } of contained) {
        const other = leader.files.descriptions.find((description) => description.id === id);
        expect(other).toMatchObject({ content: null, contentIn: pid });
      }
      const [memory] = tree.memory;
      expect(tree.memory).toHaveLength(1);
      expect(memory).toMatchObject({ sizeBytes: 65536, members: membersOf(pid).map((member) => member.pid) });
      const storedBytes = [...states.values()].map(({ vmas, runs }) => {
        const vma = vmas.find(({ ino, dev }) => ino === memory?.ino && dev === memory.dev);
        const own = runs.filter(({ address }) => vma && address >= vma.start && address < vma.end);
        return own.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
      });
      expect(storedBytes).toEqual([65536, 0, 0, 0]);
    }));

  test("of an unprivileged user is saved by it", () =>
    withScene(async (scene) => {
      const { pid, ids, folder } = await startFamily(scene, { asNobody: true });
      const result = await scene.cr(["checkpoint", `${pid}`, "-o", join(folder, "tree")], { asNobody: true });
      expect(result.status, describeResult(result)).toBe(0);
      expect(result.stdout).toMatch(/^saved python3 \(process \d+ and 5 descendants\) in .*; it goes on\n$/);
      const dead = readBundle(join(folder, "tree")).tree.members.find((member) => member.pid === ids.dead);
      expect(dead?.zombie).toMatchObject({ waitStatus: 7 << 8, uid: 65534 });
    }));

  test("is left stopped, or killed, as a whole", () =>
    withScene(async (scene) => {
      const { pid } = await startFamily(scene);
      const members = membersOf(pid);
      await checkpoint(pid, { output: join(scene.folder, "one"), after: "stop" });
      await eventually("all are stopped", () => members.every((member) => statOf(member.pid)?.state === "T"));
      for (const member of members) process.kill(member.pid, "SIGCONT");
      await eventually("all go on", () => members.every(runsFreely));
      await checkpoint(pid, { output: join(scene.folder, "two"), after: "kill" });
      expect(members.some(isAlive)).toBe(false);
    }));
});

test.each(["fork", "spawn"])("children that come and go (%s) are caught, and none is lost", (how) =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("swarm"), "FOLDER", how]);
    await target.says("ready");
    for (let count = 1; count <= 4; count += 1) {
      const core = join(scene.folder, `core.${count}`);
      const said = await runCheckpoint(scene, { target, core });
      const { tree, states } = readBundle(core);
      expect(tree.members).toHaveLength(said.processes as number);
      for (const { pid, parent, zombie } of tree.members) {
        if (zombie === null && parent !== 0) expect(states.get(pid)?.process.ppid).toBe(parent);
      }
    }
    target.go();
    expect(await target.ended(), target.output()).toBe("exited 0");
    expect(target.output()).toMatch(/ok\n$/);
  }),
);

describe("a fault", () => {
  const points = ["after-seize", "after-freeze", "after-remote", "after-copy", "before-commit"];
  test.each(points)("%s leaves every member as it was, and nothing on the disk", (point) =>
    withScene(async (scene) => {
      const { pid } = await startFamily(scene);
      const members = membersOf(pid);
      const before = listing(scene.folder);
      for (const fault of [point, `${point}:error`]) {
        const result = await scene.cr(["checkpoint", `${pid}`, "-o", "tree"], { env: { CR_FAULT: fault } });
        expect(result.status, describeResult(result)).toBe(fault === point ? null : 1);
        await eventually("all run", () => members.every(runsFreely));
        expect(membersOf(pid)).toEqual(members);
        expect(listing(scene.folder)).toEqual(before);
      }
    }),
  );
});
