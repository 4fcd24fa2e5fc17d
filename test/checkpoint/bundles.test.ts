/** The folder that a process tree is saved in: replaced as a whole, proven file by file, shown. */
import { closeSync, openSync, writeSync } from "node:fs";
import { copyFile, cp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkpoint } from "../../src/checkpoint/checkpoint.js";
import { readBundle, startFamily } from "../harness/family.js";
import { listing } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";

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
