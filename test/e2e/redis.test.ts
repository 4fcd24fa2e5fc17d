/** A server without clients at the instant of its checkpoint: restored, it takes connections and has all its keys. */
import { execFile } from "node:child_process";
import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { checkpoint, restore, running } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { killHard } from "../harness/process.js";
import { withScene } from "../harness/scene.js";

const run = promisify(execFile);
const PORT = String(20_000 + (process.pid % 20_000));
const KEYS = 500;

async function redis(...command: readonly string[]): Promise<string> {
  const { stdout } = await run("redis-cli", ["-p", PORT, ...command], { timeout: 10_000 });
  return stdout.trim();
}

function socketsOf(pid: number): number {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  return links.filter((link) => link.startsWith("socket:")).length;
}

test("redis-server goes on with its keys after a kill and a restore", { timeout: 60_000 }, () =>
  withScene(async (scene) => {
    const target = await scene.start(["redis-server", "--port", PORT, "--save", "", "--dir", "FOLDER"]);
    await target.says("Ready to accept connections");
    const listening = socketsOf(target.pid);
    const script = `for i = 1, ${KEYS} do redis.call("set", "key" .. i, "value" .. i * i) end return "done"`;
    expect(await redis("eval", script, "0")).toBe("done");
    const core = join(scene.folder, "core");
    // Its sockets are the listening ones again when the last client's is closed.
    await eventually("the last client is gone", () => socketsOf(target.pid) === listening);
    await checkpoint(scene, { target, core });
    expect(await redis("set", "later", "lost")).toBe("OK");
    const restored = await restore(scene, { target, core });
    const life = await running(restored);
    expect(await redis("dbsize")).toBe(String(KEYS));
    expect(await redis("get", "key77")).toBe(String(`value${77 * 77}`));
    expect(await redis("get", "later")).toBe("");
    expect(await redis("set", "new", "kept")).toBe("OK");
    await killHard(life);
    expect((await restored.cr.done).status).toBe(128 + 9);
  }),
);
