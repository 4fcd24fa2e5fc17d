/** Recore as a library: what the package exports does the same in another program, and is typed. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { eventually } from "../harness/eventually.js";
import { runsFreely } from "../harness/process.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const USER = fileURLToPath(new URL("./library-user.mjs", import.meta.url));
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

test.concurrent.each([0, 40, 200])(
  "checkpoints, reads and restores, with %i files of its own open",
  (descriptors) =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("counter"), "FOLDER", "1000", "5000"]);
      await target.says("\n20\n");
      const core = join(scene.folder, "core");
      const { stdout } = await run(process.execPath, [USER, `${target.pid}`, core, `${descriptors}`]);
      const told = JSON.parse(stdout);
      expect(told.saved).toMatchObject({
        pid: target.pid,
        name: "counter",
        core,
        threads: 1,
        softErrors: [],
      });
      expect(told.saved.stopMs).toBeLessThanOrEqual(told.saved.totalMs);
      expect(told.read).toEqual({ origin: "recore", pid: target.pid, comm: "counter", threads: 1 });
      expect(told.refused).toEqual({ isCrError: true, code: expect.any(String), hint: expect.any(String) });
      expect(told.restored).toMatchObject({ pid: target.pid, foreground: null });
      expect(await target.ended()).toBe("killed 9");
      const program = scene.adopt(target.pid);
      await eventually(
        "it prints to the end",
        () => target.output().endsWith("\n999\nok\n") || !runsFreely(program),
      );
      expect(target.output()).toBe(`ready\n${Array.from({ length: 1000 }, (_, n) => `${n}\n`).join("")}ok\n`);
    }),
);

test("the package says where its code and its types are, and both are there", () => {
  const { exports, types, files } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  for (const path of [exports["."].types, exports["."].default, types]) {
    expect(existsSync(join(ROOT, path)), path).toBe(true);
  }
  expect(files).toEqual(expect.arrayContaining(["bin", "dist", "native"]));
  const declared = readFileSync(join(ROOT, types), "utf8");
  for (const name of [
    "checkpoint",
    "restore",
    "readCore",
    "watch",
    "CrError",
    "CheckpointResult",
    "ProcessState",
  ]) {
    expect(declared).toContain(name);
  }
});
