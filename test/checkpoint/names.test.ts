/** The name of a program is bytes: it comes back as it was, also where it is no text or was cut in a character. */
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { killHard } from "../harness/process.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

test.concurrent.each(["zähler", "fünfzehn-bytes-ä", "a) b ("])("a program called %s", (name) =>
  withScene(async (scene) => {
    const exe = join(scene.folder, name);
    copyFileSync(fixture("counter"), exe);
    const target = await scene.start([exe, "FOLDER", "1000000"]);
    await target.says("ready");
    const comm = () => readFileSync(`/proc/${target.pid}/comm`).toString("hex");
    const before = comm();
    const core = join(scene.folder, "core");
    const told = await checkpoint(scene, { target, core });
    expect(name.startsWith(String(told.name).replace(/\ufffd$/, ""))).toBe(true);
    await killHard(target);
    const result = await scene.cr(["restore", "--detach", core]);
    expect(result.status, describeResult(result)).toBe(0);
    scene.adopt(target.pid);
    expect(comm()).toBe(before);
  }),
);
