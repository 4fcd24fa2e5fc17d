/** Remote calls of several targets at a time: each gets its own answers, and what happens to one is not the others'. */
import { expect, test } from "vitest";
import { askAll } from "../../src/checkpoint/ask.js";
import { findSite } from "../../src/checkpoint/ask-site.js";
import { getRegister } from "../../src/state/registers.js";
import { readMappings } from "../../src/tracee/maps.js";
import { readMemory } from "../../src/tracee/memory.js";
import { RemoteInterrupted, runSideBySide } from "../../src/tracee/remote.js";
import { firstSame } from "../../src/tracee/same.js";
import { findGadgets, findPlace, type Gadgets, guardedSite, placeBytesFor } from "../../src/tracee/site.js";
import { readThread } from "../../src/tracee/thread.js";
import { Tracee } from "../../src/tracee/tracee.js";
import { whileFrozen } from "../checkpoint/frozen.js";
import { eventually } from "../harness/eventually.js";
import { runsFreely, statOf } from "../harness/process.js";
import { withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

/** A batch of a stopped target: who it is. */
function whoAreYou(pid: number) {
  const { registers, xstate } = readThread(pid);
  const vmas = readMappings(pid);
  const placeBytes = placeBytesFor(0, xstate.length);
  const place = findPlace(pid, { vmas, rsp: getRegister(registers, "rsp"), placeBytes }) ?? 0n;
  const site = guardedSite(findGadgets(pid, vmas) as Gadgets, place, { placeBytes, registers });
  return { tid: pid, site, calls: [{ name: "getpid", args: [] }] as const, scratch: Buffer.alloc(0) };
}

function snapshot({ tid, site }: ReturnType<typeof whoAreYou>) {
  return { ...readThread(tid), memory: readMemory(tid, site.place, site.placeBytes) };
}

async function endsWell(target: Target): Promise<void> {
  await eventually("it runs freely", () => runsFreely(target));
  target.go();
  expect(await target.ended(), target.output()).toBe("exited 0");
}

test("a SIGSTOP cuts the batch of one short; another gets its answer, and both are as they were", () =>
  withScene(async (scene) => {
    const targets = [
      await scene.start([fixture("calls"), "FOLDER"]),
      await scene.start([fixture("altstack"), "FOLDER"]),
    ];
    for (const target of targets) await target.says("ready");
    const tracees = targets.map(({ pid }) => Tracee.seize(pid));
    try {
      for (const tracee of tracees) tracee.stop(1_000);
      const batches = targets.map(({ pid }) => whoAreYou(pid));
      const before = batches.map(snapshot);
      const [first, second] = targets.map(({ pid }) => pid) as [number, number];
      process.kill(first, "SIGSTOP");
      const [cut, whole] = runSideBySide(batches);
      expect(cut).toBeInstanceOf(RemoteInterrupted);
      expect(whole).toEqual([BigInt(second)]);
      expect(batches.map(snapshot)).toEqual(before);
      tracees[0]?.owe(first, 19);
    } finally {
      for (const tracee of tracees) tracee.release();
    }
    const [stopped] = targets as [Target, Target];
    await eventually("it is stopped", () => statOf(stopped.pid)?.state === "T");
    process.kill(stopped.pid, "SIGCONT");
    for (const target of targets) await endsWell(target);
  }));

test("one that ends meanwhile is told, and the others get their answers", () =>
  withScene(async (scene) => {
    const killed = await scene.start([fixture("calls"), "FOLDER"]);
    const target = await scene.start([fixture("calls"), "FOLDER"]);
    for (const one of [killed, target]) await one.says("ready");
    using first = Tracee.seize(killed.pid);
    using second = Tracee.seize(target.pid);
    for (const tracee of [first, second]) tracee.stop(1_000);
    const batches = [killed, target].map(({ pid }) => whoAreYou(pid));
    process.kill(killed.pid, "SIGKILL");
    const [gone, whole] = runSideBySide(batches);
    expect(String(gone)).toMatch(/ESRCH/);
    expect(whole).toEqual([BigInt(target.pid)]);
    second.release();
    await endsWell(target);
  }));

test("threads are asked in places of their own, well below the stack in use", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("threads"), "FOLDER"]);
    await target.says("ready");
    await whileFrozen(target.pid, (frozen) => {
      const { place, rooms, roomBytes } = findSite(frozen);
      expect(rooms.length).toBeGreaterThan(1);
      expect(rooms[0]).toBe(place);
      const main = frozen.threads.get(target.pid)?.registers ?? Buffer.alloc(0);
      const end = (rooms.at(-1) ?? 0n) + BigInt(roomBytes);
      expect(getRegister(main, "rsp") - end).toBeGreaterThan(32n << 10n);
      const bytes = readMemory(target.pid, place, rooms.length * roomBytes);
      const [answers] = askAll([frozen]);
      expect([...(answers?.threads.keys() ?? [])]).toEqual([...frozen.threads.keys()]);
      const addresses = [...(answers?.threads.values() ?? [])].map(({ tidAddress }) => tidAddress);
      expect(new Set(addresses).size).toBe(addresses.length);
      expect(readMemory(target.pid, place, rooms.length * roomBytes)).toEqual(bytes);
    });
    await endsWell(target);
  }));

test("which descriptors are one, and what is shared by none", () => {
  const { pid } = process;
  const held = [0, 1_000_000, 0].map((fd) => ({ pid, fd }));
  expect(firstSame("file", held)).toEqual([0, 1, 0]);
  expect(
    firstSame(
      "vm",
      [pid, process.ppid, pid].map((one) => ({ pid: one, fd: 0 })),
    ),
  ).toEqual([0, 1, 0]);
  expect(firstSame("vm", [])).toEqual([]);
});
