/**
 * Where files can have bytes in common (btrfs on a loop device), every core of a lineage is whole and costs what changed. Needs
 * root, loop devices and mkfs.btrfs (btrfs-progs).
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkpoint } from "../../src/checkpoint/checkpoint.js";
import { Lineage } from "../../src/checkpoint/lineage.js";
import { readCore } from "../../src/core/read-core.js";
import { describeResult } from "../harness/cr.js";
import { killHard } from "../harness/process.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const TURNS = 6;

/** Runs `act` with a folder on a btrfs of its own. */
async function withBtrfs(folder: string, act: (mount: string) => Promise<void>): Promise<void> {
  const [image, mount] = [join(folder, "disk"), join(folder, "mount")];
  writeFileSync(image, "");
  truncateSync(image, 384 << 20);
  mkdirSync(mount);
  execFileSync("mkfs.btrfs", ["-q", image]);
  execFileSync("mount", ["-o", "loop", image, mount]);
  try {
    await act(mount);
  } finally {
    execFileSync("umount", [mount]);
  }
}

/** Bytes that are taken on the disk. */
function takenOn(mount: string): number {
  execFileSync("sync", ["-f", mount]);
  const { blocks, bfree, bsize } = statfsSync(mount);
  return (blocks - bfree) * bsize;
}

test("each core is whole, costs what changed, and needs no other", () =>
  withScene((scene) =>
    withBtrfs(scene.folder, async (mount) => {
      const target = await scene.start([fixture("upheaval"), "FOLDER", "6", `${TURNS}`, "40"]);
      const core = (turn: number) => join(mount, `core.${turn}`);
      using lineage = new Lineage();
      const costs: number[] = [];
      let bytes = 0;
      for (let turn = 1; turn <= TURNS; turn += 1) {
        await target.says(`turn ${turn}\n`);
        const before = takenOn(mount);
        const told = await checkpoint(target.pid, { output: core(turn), lineage, mode: "live" });
        costs.push(takenOn(mount) - before);
        bytes = told.bytes;
        expect(told.parent).toBeUndefined();
        writeFileSync(join(target.folder, `turn.${turn}`), "");
      }
      expect(Math.min(...costs.slice(1))).toBeLessThan(bytes / 2);
      expect(readCore(core(TURNS)).parents).toEqual([]);
      for (let turn = 1; turn < TURNS; turn += 1) rmSync(core(turn));
      const verified = await scene.cr(["verify", core(TURNS)]);
      expect(verified.status, describeResult(verified)).toBe(0);
      await killHard(target);
      target.go();
      const end = await scene.cr(["restore", core(TURNS)]);
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    }),
  ));
