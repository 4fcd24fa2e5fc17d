/** What a stopped process is asked about itself, and what becomes of it when that cannot be done. */
import { describe, expect, test } from "vitest";
import { ask } from "../../src/checkpoint/ask.js";
import {
  decodeInterior,
  INTERIOR_SCRATCH_BYTES,
  interiorCalls,
  signalsToAsk,
} from "../../src/checkpoint/interior.js";
import { eventually } from "../harness/eventually.js";
import { isAlive, killHard, runsFreely, statOf } from "../harness/process.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { buildProgram } from "../tracee/build.js";
import { errorOf, whileFrozen } from "./frozen.js";

const places = buildProgram("places");

describe("ask", () => {
  test("asks for handlers, alternate stack, break, timers and settings, and leaves no trace", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("signals"), "FOLDER"]);
      await target.says("ready");
      await whileFrozen(target.pid, (frozen) => {
        const interior = ask(frozen).process;
        expect(interior.actions.length).toBeGreaterThan(0);
        for (const { handler, restorer } of interior.actions.filter((one) => one.handler > 1n)) {
          expect(frozen.look.facts.vmas.some((vma) => handler >= vma.start && handler < vma.end)).toBe(true);
          expect(restorer).not.toBe(0n);
        }
        const heap = frozen.look.facts.vmas.find(({ path }) => path === "[heap]");
        expect(interior.brk).toBeGreaterThanOrEqual(heap?.end ?? 0n);
        expect(interior.settings).toMatchObject({ dumpable: 1n, mdwe: 0n });
        expect(frozen.look.facts.threadStatus.get(target.pid)?.get("NoNewPrivs")).toBe("0");
        expect(ask(frozen).process).toEqual(interior);
      });
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    }));

  test("refuses a program that dispatches its system calls, which goes on", () =>
    withScene(async (scene) => {
      const target = await scene.start([places(), "dispatch", "FOLDER"]);
      await target.says("ready");
      await whileFrozen(target.pid, (frozen) => {
        expect(errorOf(() => ask(frozen))).toMatchObject({
          code: "UNSUPPORTED_STATE",
          message: expect.stringContaining("PR_SET_SYSCALL_USER_DISPATCH"),
        });
      });
      expect(runsFreely(target)).toBe(true);
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    }));

  test("says so when the process is killed meanwhile", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("calls"), "FOLDER"]);
      await target.says("ready");
      await whileFrozen(target.pid, async (frozen) => {
        process.kill(target.pid, "SIGKILL");
        await eventually("it has died", () => !isAlive(target));
        expect(errorOf(() => ask(frozen))).toMatchObject({
          code: "TARGET_CHANGED",
          message: expect.stringMatching(/it ended/),
        });
      });
      await killHard(target);
    }));

  test("hands a SIGSTOP on that comes meanwhile", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("calls"), "FOLDER"]);
      await target.says("ready");
      await whileFrozen(target.pid, (frozen) => {
        process.kill(target.pid, "SIGSTOP");
        expect(errorOf(() => ask(frozen))).toMatchObject({
          code: "TARGET_CHANGED",
          message: expect.stringMatching(/SIGSTOP/),
        });
      });
      await eventually("it is stopped as the sender wanted", () => statOf(target.pid)?.state === "T");
      process.kill(target.pid, "SIGCONT");
      await eventually("it goes on", () => runsFreely(target));
    }));
});

test("asks for the actions of signals that are caught or ignored, and of SIGCHLD", () => {
  const status = new Map([
    ["SigCgt", "0000000100000002"],
    ["SigIgn", "8000000000001000"],
  ]);
  expect(signalsToAsk(status)).toEqual([2, 13, 17, 33, 64]);
  expect(signalsToAsk(new Map()).length).toBe(62);
  const names = interiorCalls(0n, [2]).filter(({ name }) => name === "rt_sigaction");
  expect(names).toHaveLength(1);
});

describe("decodeInterior", () => {
  const count = interiorCalls(0n).length;

  test("leaves out what is at its default", () => {
    const results = Array.from({ length: count }, () => 0n);
    const interior = decodeInterior(results, Buffer.alloc(INTERIOR_SCRATCH_BYTES));
    expect(interior).toMatchObject({ actions: [], itimers: [], brk: 0n });
  });

  test("takes options that the kernel does not know as off, and no other failure", () => {
    const results: bigint[] = Array.from({ length: count }, (_, index) => (index < count - 6 ? 0n : -22n));
    const interior = decodeInterior(results, Buffer.alloc(INTERIOR_SCRATCH_BYTES));
    expect(interior.settings).toMatchObject({ mdwe: 0n, thpDisable: 0n });
    results[2] = -14n;
    expect(() => decodeInterior(results, Buffer.alloc(INTERIOR_SCRATCH_BYTES))).toThrow(/rt_sigaction.*14/);
  });
});
