/** Flags of mappings in a chain of cores are those of each stop, although they are read seldom. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkpoint } from "../../src/checkpoint/checkpoint.js";
import { Lineage } from "../../src/checkpoint/lineage.js";
import { readCore } from "../../src/core/read-core.js";
import type { Vma } from "../../src/state/vma.js";
import { readMappings } from "../../src/tracee/maps.js";
import { describeResult } from "../harness/cr.js";
import { killHard } from "../harness/process.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const TURNS = 6;

/** Flags of mappings, but that of our tracking. */
const flagsOf = (vmas: readonly Vma[]) =>
  vmas.map(({ start, end, flags }) => ({ start, end, flags: flags.filter((flag) => flag !== "uw") }));

test("each core of a chain has the flags that its mappings had", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("fickle"), "FOLDER", `${TURNS}`]);
    const core = (turn: number) => join(scene.folder, `core.${turn}`);
    using lineage = new Lineage();
    for (let turn = 1; turn <= TURNS; turn += 1) {
      await target.says(`turn ${turn}\n`);
      const told = await checkpoint(target.pid, { output: core(turn), lineage, mode: "live" });
      expect(told.parent).toBe(turn === 1 ? undefined : core(turn - 1));
      expect(flagsOf(readCore(core(turn)).state.vmas)).toEqual(flagsOf(readMappings(target.pid)));
      writeFileSync(join(target.folder, `turn.${turn}`), "");
    }
    await killHard(target);
    target.go();
    const end = await scene.cr(["restore", core(TURNS)]);
    expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
  }));
