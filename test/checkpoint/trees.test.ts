/**
 * A process with its descendants in one checkpoint: who is in it and what is between them, one name for what is one
 * thing, one instant for all, and nobody harmed.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { copyFile, cp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkpoint } from "../../src/checkpoint/checkpoint.js";
import { describeResult } from "../harness/cr.js";
import { checkpoint as runCheckpoint } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { isAlive, runsFreely, statOf } from "../harness/process.js";
import { listing } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";
import { membersOf, readBundle } from "../harness/tree.js";

/** Children of every kind; says who they are as one line of JSON. */
const FAMILY = `
import ctypes, json, mmap, os, socket, time
libc = ctypes.CDLL(None)
libc.prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
root = os.getpid()
memory = mmap.mmap(-1, 65536)
memory.write(b'm' * 65536)
r, w = os.pipe()
a, b = socket.socketpair()
log = os.open('log', os.O_RDWR | os.O_CREAT)
gone = os.open('gone', os.O_RDWR | os.O_CREAT)
os.write(gone, b'deleted'); os.unlink('gone')
os.write(w, b'in the pipe'); a.send(b'in the socket')
def child(begin):
    pid = os.fork()
    if pid == 0:
        begin()
        while os.getppid() != root: time.sleep(0.01)
        libc.prctl(1, 9)  # PR_SET_PDEATHSIG: nobody outlives the test
        os.write(log, b'.')
        while True: time.sleep(1000)
    return pid
def die():
    os.kill(os.getpid(), 9)
def leave():
    child(lambda: None)
    os._exit(0)
dead, killed = child(lambda: os._exit(7)), child(die)
for pid in (dead, killed): os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
leader, alone = child(os.setsid), child(lambda: os.setpgid(0, 0))
os.waitpid(child(leave), 0)
while os.fstat(log).st_size < 3: time.sleep(0.01)
print(json.dumps(dict(root=root, dead=dead, killed=killed, leader=leader, alone=alone)), flush=True)
while True: time.sleep(1000)
`;

interface FamilyIds {
  readonly root: number;
  readonly dead: number;
  readonly killed: number;
  readonly leader: number;
  readonly alone: number;
}

async function startFamily(
  scene: Scene,
  more: { asNobody?: boolean } = {},
): Promise<Target & { ids: FamilyIds }> {
  const target = await scene.start(["python3", "-c", FAMILY], more);
  await target.says("}");
  return { ...target, ids: JSON.parse(target.output()) as FamilyIds };
}

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

describe("the folder", () => {
  test("is not replaced without --force, then at once, and a file by it and it by a file", () =>
    withScene(async (scene) => {
      const { pid } = await startFamily(scene);
      const lone = await scene.start(["sleep", "1000"]);
      const tree = join(scene.folder, "tree");
      await checkpoint(pid, { output: tree });
      await expect(checkpoint(pid, { output: tree })).rejects.toMatchObject({
        code: "OUTPUT_EXISTS",
        message: `cannot write core ${tree}: the folder of a checkpoint exists`,
      });
      await checkpoint(pid, { output: tree, force: true });
      expect(readBundle(tree).tree.root).toBe(pid);
      await checkpoint(lone.pid, { output: tree, force: true });
      await checkpoint(pid, { output: tree, force: true });
      expect(readBundle(tree).tree.root).toBe(pid);
      expect(listing(scene.folder).filter((name) => !name.startsWith("target"))).toEqual(["tree"]);
      await writeFile(join(tree, "notes.txt"), "mine");
      await expect(checkpoint(pid, { output: tree, force: true })).rejects.toMatchObject({
        code: "OUTPUT_UNSAFE",
      });
    }));

  test("is proven by cr verify, which names every file that is wrong", () =>
    withScene(async (scene) => {
      const { pid, ids } = await startFamily(scene);
      const good = join(scene.folder, "good");
      await checkpoint(pid, { output: good });
      const verify = (folder: string) => scene.cr(["verify", folder]);
      expect((await verify(good)).stdout).toMatch(/good: whole, 6 processes, .* checked\n$/);
      const wrong: [string, (folder: string) => Promise<unknown>, RegExp][] = [
        [
          "missing",
          (at) => rm(join(at, `core.${ids.alone}`)),
          /CORE_UNREADABLE: .*core\.\d+: there is no such file/,
        ],
        [
          "altered",
          async (at) => flip(join(at, `core.${ids.alone}`), 9000),
          /CORE_CORRUPT: .*do not match their checksum/,
        ],
        [
          "exchanged",
          async (at) => {
            await rename(join(at, `core.${ids.alone}`), join(at, `core.${ids.leader}`));
            await copyFile(join(at, `core.${ids.leader}`), join(at, `core.${ids.alone}`));
          },
          /CORE_CORRUPT: .*the manifest names/,
        ],
        [
          "manifest",
          async (at) => flip(join(at, "manifest.json"), 200),
          /CORE_CORRUPT: .*manifest.json: its checksum is/,
        ],
        [
          "stray",
          (at) => copyFile(join(at, `core.${pid}`), join(at, "core.1")),
          /BAD_CORE: .*the manifest names no such core/,
        ],
      ];
      for (const [name, spoil, message] of wrong) {
        const bad = join(scene.folder, name);
        await cp(good, bad, { recursive: true });
        await spoil(bad);
        const result = await verify(bad);
        expect(result.status).toBe(1);
        expect(result.stderr, name).toMatch(message);
      }
    }));

  test("is told by cr inspect", () =>
    withScene(async (scene) => {
      const { pid, ids } = await startFamily(scene);
      await checkpoint(pid, { output: join(scene.folder, "tree") });
      const { stdout } = await scene.cr(["inspect", "tree"]);
      expect(stdout).toMatch(new RegExp(`^processes: 6\n  ${pid} python3, `, "m"));
      expect(stdout).toMatch(new RegExp(`^    ${ids.dead} python3, .*; ended with 7$`, "m"));
      expect(stdout).toMatch(new RegExp(`^    ${ids.killed} python3, .*; killed by signal 9$`, "m"));
      expect(stdout).toMatch(/^shared memory: 1\n/m);
    }));
});

/** Changes one byte. */
function flip(path: string, at: number): void {
  const fd = openSync(path, "r+");
  try {
    writeSync(fd, "?", at);
  } finally {
    closeSync(fd);
  }
}
