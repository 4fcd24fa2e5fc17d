/** A core that goes bad under a lazy restore, or was bad before: the program ends before it reads a wrong byte, and cr says why. */
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkpoint } from "../harness/cycle.js";
import { serversGone, shutTap } from "../harness/page-server.js";
import { killHard } from "../harness/process.js";
import { expectRefusal, FAILED_FOREGROUND } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import { BIG_WORDS, begin, beginFilling, LAZY } from "./lazy-scene.js";

test.concurrent("altered memory never reaches the program", () =>
  withScene(async (scene) => {
    const target = await begin(scene, ["lazy", "0"]);
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core });
    const bytes = readFileSync(core);
    const words = Buffer.alloc(16);
    BIG_WORDS.forEach((word, index) => {
      words.writeBigUInt64LE(word, index * 8);
    });
    const at = bytes.indexOf(words);
    expect(at).toBeGreaterThan(0);
    bytes[at + 4096 * 100] = (bytes[at + 4096 * 100] ?? 0) ^ 1;
    writeFileSync(core, bytes);
    target.go();
    await killHard(target);
    const end = await scene.cr(["restore", core, ...LAZY], { env: shutTap(scene).env });
    expectRefusal(end, { codes: ["CORE_CORRUPT"], status: FAILED_FOREGROUND, names: /do not match/ });
    expect(target.output()).toBe("ready\n");
    expect(readFileSync(core).equals(bytes)).toBe(true);
  }));

test.concurrent("what is cut off is told", () =>
  withScene(async (scene) => {
    const { target, core, cr } = await beginFilling(scene, ["lazy", "0"]);
    truncateSync(core, 65536);
    target.go();
    expectRefusal(await cr.done, {
      codes: ["CORE_TRUNCATED"],
      status: FAILED_FOREGROUND,
      names: /the pages at 0x[0-9a-f]+ \(file offset \d+\): are behind the end of the file/,
    });
    expect(target.output()).toBe("ready\n");
    await serversGone(scene);
  }));
