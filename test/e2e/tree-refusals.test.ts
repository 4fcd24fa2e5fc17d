/** Bundles that cannot be restored: refused before anything is started, and failures after that leave nobody behind. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ErrorCode } from "../../src/errors.js";
import { eventually } from "../harness/eventually.js";
import { statOf } from "../harness/process.js";
import { expectRefusal, FAILED_FOREGROUND } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { checkpointTree, killTree, membersOf, restoreTree } from "../harness/tree.js";

/** A bundle of three processes that is good, and a root that has ended. */
async function makeBundle(scene: Scene) {
  const target = await scene.start([fixture("crowd"), "FOLDER", "2"]);
  await target.says("ready");
  const bundle = join(scene.folder, "bundle");
  await checkpointTree(scene, { target, bundle });
  return { target, bundle, members: membersOf(bundle) };
}

test(
  "what is wrong with a bundle, or asked of it, is told by name and starts nothing",
  () =>
    withScene(async (scene) => {
      const { target, bundle, members } = await makeBundle(scene);
      const [root = 0, worker = 0] = members;
      const refused = async (args: readonly string[], code: ErrorCode, names: RegExp) => {
        const result = await scene.cr(["restore", ...args]);
        expectRefusal(result, { codes: [code], status: FAILED_FOREGROUND, names });
      };
      await refused([bundle], "PID_TAKEN", new RegExp(`as pid ${root}: the number belongs to`));
      await killTree(scene, members);
      await refused([bundle, "--pid", "new"], "UNSUPPORTED_STATE", /under other pids/);
      await refused([bundle, "/bin/true"], "USAGE", /each process has its own/);
      await refused(
        [join(bundle, `core.${worker}`)],
        "UNSUPPORTED_STATE",
        /alone: it was saved with the process tree/,
      );
      const manifest = join(bundle, "manifest.json");
      const text = readFileSync(manifest, "utf8");
      writeFileSync(manifest, text.replace('"session":', '"sessiom":'));
      await refused([bundle], "CORE_CORRUPT", /manifest.json: its checksum/);
      writeFileSync(manifest, text);
      renameSync(join(bundle, `core.${worker}`), join(scene.folder, "core"));
      await refused([bundle], "CORE_UNREADABLE", new RegExp(`core.${worker}`));
      renameSync(join(scene.folder, "core"), join(bundle, `core.${worker}`));
      for (const pid of members) expect(statOf(pid)).toBeNull();
      const restored = await restoreTree(scene, { target, bundle });
      target.go();
      expect((await restored.cr.done).status).toBe(0);
    }),
  120_000,
);

test.each(["restore-after-spawn", "restore-after-rebuild"])(
  "nobody is left after a failure at %s",
  (point) =>
    withScene(async (scene) => {
      const { target, bundle, members } = await makeBundle(scene);
      await killTree(scene, members);
      const gone = () => members.every((pid) => statOf(pid) === null);
      const failed = await scene.cr(["restore", bundle], { env: { CR_FAULT: `${point}:error` } });
      expect(failed.status).toBe(FAILED_FOREGROUND);
      expect(gone()).toBe(true);
      const killed = await scene.cr(["restore", bundle], { env: { CR_FAULT: point } });
      expect(killed.signal).toBe("SIGKILL");
      await eventually("nobody is left", gone);
      const restored = await restoreTree(scene, { target, bundle });
      target.go();
      expect((await restored.cr.done).status).toBe(0);
    }),
  120_000,
);
