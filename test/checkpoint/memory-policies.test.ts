/** Policies of mappings: of a large program told by itself, of others by /proc. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { ask } from "../../src/checkpoint/ask.js";
import { ASKED_MAX, decodePolicies, policyCalls } from "../../src/checkpoint/asked-policies.js";
import { policiesNow } from "../../src/checkpoint/memory-policies.js";
import { vma } from "../core/sample-core.js";
import { describeResult } from "../harness/cr.js";
import { checkpoint, restore } from "../harness/cycle.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { whileFrozen } from "./frozen.js";

const EFAULT = -14n;
const ENOSYS = -38n;
const modes = (...all: readonly number[]) => Buffer.from(Int32Array.from(all).buffer);

test("each mapping is asked for, but none of the kernel's, and none where there are too many", () => {
  const vmas = [vma(0x1000n, 1), vma(0x8000n, 2), vma(0x7fff_0000_0000n, 1, { kind: "special" })];
  expect(policyCalls(vmas, 0x100n).map(({ args }) => args)).toEqual([
    [0x100n, 0, 0, 0x1000n, 2],
    [0x104n, 0, 0, 0x8000n, 2],
  ]);
  const many = Array.from({ length: ASKED_MAX + 1 }, (_, at) => vma(BigInt(at) * 0x1000n, 1));
  expect(policyCalls(many, 0n)).toEqual([]);
  expect(policyCalls(many.slice(1), 0n)).toHaveLength(ASKED_MAX);
});

test("only answers that all say so are no policies", () => {
  expect(decodePolicies([0n, 0n], modes(0, 0))).toEqual(new Map());
  expect(decodePolicies([ENOSYS], modes(7))).toEqual(new Map());
  expect(decodePolicies([0n, 0n], modes(0, 2))).toBeNull();
  expect(decodePolicies([0n, EFAULT], modes(0, 0))).toBeNull();
  expect(decodePolicies([], modes())).toBeNull();
});

test("a program without policies says so, one with some is looked at", () =>
  withScene(async (scene) => {
    for (const [name, has] of [
      ["anon", false],
      ["policies", true],
    ] as const) {
      const target = await scene.start([fixture(name), "FOLDER"]);
      await target.says("ready");
      await whileFrozen(target.pid, (frozen) => {
        expect(ask(frozen).policies, name).toEqual(has ? null : new Map());
      });
      if (has) expect(policiesNow(target.pid).size).toBeGreaterThan(1);
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    }
  }));

test("of a process that has ended there are none", () => {
  expect(policiesNow(2 ** 22 + 1)).toEqual(new Map());
});

test("a large program with policies goes on with them", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("policies"), "FOLDER", "large"]);
    await target.says("ready");
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core });
    const { cr } = await restore(scene, { target, core });
    target.go();
    const end = await cr.done;
    expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
  }));
