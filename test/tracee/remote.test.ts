/** System calls run inside a target: what they return, and that the target is as it was, in every kind of program. */
import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { getRegister } from "../../src/state/registers.js";
import { readMappings } from "../../src/tracee/maps.js";
import { readMemory } from "../../src/tracee/memory.js";
import { isNativeError } from "../../src/tracee/native-error.js";
import { type GuardedSite, RemoteInterrupted, runGuarded } from "../../src/tracee/remote.js";
import { findGadgets, findPlace, type Gadgets, guardedSite, placeBytesFor } from "../../src/tracee/site.js";
import { readThread } from "../../src/tracee/thread.js";
import { Tracee } from "../../src/tracee/tracee.js";
import { eventually } from "../harness/eventually.js";
import { runsFreely, statOf } from "../harness/process.js";
import { withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";
import { buildProgram } from "./build.js";

const places = buildProgram("places");
const SCRATCH_BYTES = 256;

/** A site in a stopped target. */
function siteOf(pid: number): GuardedSite {
  const { registers, xstate } = readThread(pid);
  const vmas = readMappings(pid);
  const placeBytes = placeBytesFor(SCRATCH_BYTES, xstate.length);
  const place = findPlace(pid, { vmas, rsp: getRegister(registers, "rsp"), placeBytes });
  const gadgets = findGadgets(pid, vmas);
  if (place === null || gadgets === null) throw new Error("no site");
  return guardedSite(gadgets as Gadgets, place, { placeBytes, registers });
}

/** Everything of a stopped target that a batch touches on the way. */
function snapshot(pid: number, site: GuardedSite) {
  return { ...readThread(pid), memory: readMemory(pid, site.place, site.placeBytes) };
}

async function endsWell(target: Target): Promise<void> {
  await eventually("it runs freely", () => runsFreely(target));
  target.go();
  expect(await target.ended(), target.output()).toBe("exited 0");
}

describe("runGuarded", () => {
  test.concurrent.each([
    ["blocked in nanosleep", [fixture("calls"), "FOLDER"]],
    ["with handlers and an alternate stack", [fixture("altstack"), "FOLDER"]],
    ["with every vector register in use", [fixture("vector"), "FOLDER"]],
    ["static glibc", [fixture("vector.static"), "FOLDER"]],
    ["musl", [fixture("vector.musl"), "FOLDER"]],
    ["static musl, by pop %rax", [fixture("vector.muslstatic"), "FOLDER"]],
    ["with signals pending", [fixture("pending"), "FOLDER"]],
  ])("leaves a target as it was: %s", (_what, argv) =>
    withScene(async (scene) => {
      const target = await scene.start(argv);
      await target.says("ready");
      using tracee = Tracee.seize(target.pid);
      tracee.stop(1_000);
      const site = siteOf(target.pid);
      const before = snapshot(target.pid, site);
      const scratch = Buffer.alloc(SCRATCH_BYTES, 0xee);
      const results = runGuarded(target.pid, site, {
        calls: [
          { name: "getpid", args: [] },
          { name: "close", args: [-1] },
          { name: "sigaltstack", args: [0, site.place] },
          { name: "prctl", args: [16, site.place + 64n] },
          { name: "getpid", args: [1, 2, 3, 4, 5, 6] },
        ],
        scratch,
      });
      expect(results).toEqual([BigInt(target.pid), -9n, 0n, 0n, BigInt(target.pid)]);
      // PR_GET_NAME wrote the name into the borrowed memory, which came back as scratch bytes.
      const name = basename(argv[0] ?? "").slice(0, 15);
      expect(scratch.toString("latin1", 64, 80)).toBe(name.padEnd(16, "\0"));
      expect(scratch.subarray(80)).toEqual(Buffer.alloc(SCRATCH_BYTES - 80, 0xee));
      expect(snapshot(target.pid, site)).toEqual(before);
      tracee.release();
      await endsWell(target);
    }),
  );

  test("runs thousands of calls in one batch, and refuses more than it can", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("calls"), "FOLDER"]);
      await target.says("ready");
      using tracee = Tracee.seize(target.pid);
      tracee.stop(1_000);
      const site = siteOf(target.pid);
      const calls = (count: number) =>
        Array.from({ length: count }, () => ({ name: "getpid", args: [] }) as const);
      const results = runGuarded(target.pid, site, { calls: calls(4096), scratch: Buffer.alloc(0) });
      expect(new Set(results)).toEqual(new Set([BigInt(target.pid)]));
      for (const count of [0, 4097]) {
        const run = () => runGuarded(target.pid, site, { calls: calls(count), scratch: Buffer.alloc(0) });
        expect(run).toThrow(/EINVAL/);
      }
      tracee.release();
      await endsWell(target);
    }));

  test("refuses a place that cannot hold the frame, and touches nothing", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("calls"), "FOLDER"]);
      await target.says("ready");
      using tracee = Tracee.seize(target.pid);
      tracee.stop(1_000);
      const site = siteOf(target.pid);
      const before = snapshot(target.pid, site);
      const calls = [{ name: "getpid", args: [] }] as const;
      const small = () =>
        runGuarded(target.pid, { ...site, placeBytes: 1024 }, { calls, scratch: Buffer.alloc(0) });
      expect(small).toThrow(/ENOSPC/);
      const full = () => runGuarded(target.pid, site, { calls, scratch: Buffer.alloc(site.placeBytes) });
      expect(full).toThrow(/ENOSPC/);
      const nowhere = () =>
        runGuarded(target.pid, { ...site, place: 4096n }, { calls, scratch: Buffer.alloc(0) });
      expect(nowhere).toThrow(/EIO|EFAULT/);
      expect(snapshot(target.pid, site)).toEqual(before);
      tracee.release();
      await endsWell(target);
    }));

  test("a SIGSTOP in between cuts it short, and the target is as it was", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("calls"), "FOLDER"]);
      await target.says("ready");
      using tracee = Tracee.seize(target.pid);
      tracee.stop(1_000);
      const site = siteOf(target.pid);
      const before = snapshot(target.pid, site);
      process.kill(target.pid, "SIGSTOP");
      const run = () =>
        runGuarded(target.pid, site, { calls: [{ name: "getpid", args: [] }], scratch: Buffer.alloc(0) });
      expect(run).toThrow(RemoteInterrupted);
      expect(snapshot(target.pid, site)).toEqual(before);
      tracee.owe(target.pid, 19);
      tracee.release();
      await eventually("it is stopped", () => statOf(target.pid)?.state === "T");
      process.kill(target.pid, "SIGCONT");
      await endsWell(target);
    }));

  test("is not tried on a program that would catch the calls", () =>
    withScene(async (scene) => {
      const target = await scene.start([places(), "dispatch", "FOLDER"]);
      await target.says("ready");
      using tracee = Tracee.seize(target.pid);
      tracee.stop(1_000);
      const site = siteOf(target.pid);
      let failure: unknown;
      try {
        runGuarded(target.pid, site, { calls: [{ name: "getpid", args: [] }], scratch: Buffer.alloc(0) });
      } catch (error) {
        failure = error;
      }
      expect(isNativeError(failure, "ENOTSUP")).toBe(true);
      tracee.release();
      await endsWell(target);
    }));
});
