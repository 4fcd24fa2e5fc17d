/** A server with workers that were forked beforehand, asked before its checkpoint and after its restore. */
import { connect } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { checkpointTree, killTree, membersOf, restoreTree } from "../harness/tree.js";

interface Answer {
  readonly pid: number;
  readonly count: number;
}

/** One question to the server; whoever answers closes the connection. */
function ask(port: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.write("who"));
    socket.on("data", (bytes) => {
      text += bytes;
    });
    socket.on("error", reject);
    socket.on("close", () => {
      const [, pid, count] = /^worker \d pid (\d+) answer (\d+)\n$/.exec(text) ?? [];
      if (count === undefined) reject(new Error(`the server said: ${text}`));
      else resolve({ pid: Number(pid), count: Number(count) });
    });
  });
}

test(
  "workers go on to answer at the socket that they share",
  () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("prefork"), "FOLDER"]);
      await target.says("ready");
      const port = Number(target.output().match(/port (\d+)/)?.[1]);
      const before = new Map<number, number>();
      const asked = 12;
      for (let time = 0; time < asked; time += 1) {
        const { pid, count } = await ask(port);
        before.set(pid, count);
      }
      const bundle = join(scene.folder, "bundle");
      await checkpointTree(scene, { target, bundle });
      await killTree(scene, membersOf(bundle));
      const restored = await restoreTree(scene, { target, bundle });
      for (let time = 0; time < asked; time += 1) {
        const { pid, count } = await ask(port);
        expect(membersOf(bundle)).toContain(pid);
        // Each has counted on from where it was.
        expect(count).toBe((before.get(pid) ?? 0) + 1);
        before.set(pid, count);
      }
      target.go();
      const end = await restored.cr.done;
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
      expect(target.output()).toMatch(/ok\n$/);
    }),
  60_000,
);
