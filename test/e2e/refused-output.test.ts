/** Places a core cannot be written to: the target goes on, an earlier core stays whole, no file is left over. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../src/errors.js";
import type { CrOptions } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { isAlive, runsFreely, statOf } from "../harness/process.js";
import { expectRefusal, listing } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

interface Attempt extends CrOptions {
  readonly output: string;
  readonly code: ErrorCode;
  readonly extra?: readonly string[];
}

/** A folder for the cores and a target that must outlive all attempts and find itself unharmed. */
async function attempt(
  scene: Scene,
  act: (folder: string, refuses: (attempt: Attempt) => Promise<void>, target: Target) => Promise<void>,
  asNobody = false,
): Promise<void> {
  const folder = join(scene.folder, "cores");
  mkdirSync(folder);
  const target = await scene.start([fixture("brk"), "FOLDER"], { asNobody });
  await target.says("ready");
  const refuses = async ({ output, code, extra = [], ...options }: Attempt) => {
    const before = listing(folder);
    const result = await scene.cr(["checkpoint", String(target.pid), "-o", output, ...extra], options);
    expectRefusal(result, { codes: [code] });
    expect(listing(folder)).toEqual(before);
    expect(runsFreely(target), `state ${statOf(target.pid)?.state}`).toBe(true);
  };
  await act(folder, refuses, target);
  target.go();
  expect(await target.ended(), target.output()).toBe("exited 0");
}

describe("cr checkpoint -o", () => {
  test.concurrent("refuses a file that exists, and replaces it with --force", () =>
    withScene((scene) =>
      attempt(scene, async (folder, refuses, target) => {
        const output = join(folder, "core");
        writeFileSync(output, "precious");
        await refuses({ output, code: "OUTPUT_EXISTS" });
        expect(readFileSync(output, "utf8")).toBe("precious");
        await checkpoint(scene, { target, core: output, extra: ["--force"] });
        expect(listing(folder)).toEqual(["core"]);
        expect(statSync(output).mode & 0o777).toBe(0o600);
      }),
    ));

  test.concurrent("refuses a symbolic link, with --force too", () =>
    withScene((scene) =>
      attempt(scene, async (folder, refuses) => {
        const [output, victim] = [join(folder, "link"), join(folder, "victim")];
        writeFileSync(victim, "precious");
        symlinkSync(victim, output);
        await refuses({ output, code: "OUTPUT_UNSAFE" });
        await refuses({ output, code: "OUTPUT_UNSAFE", extra: ["--force"] });
        expect(readFileSync(victim, "utf8")).toBe("precious");
        const dangling = join(folder, "dangling");
        symlinkSync(join(folder, "nowhere"), dangling);
        await refuses({ output: dangling, code: "OUTPUT_UNSAFE", extra: ["--force"] });
      }),
    ));

  test.concurrent("refuses a folder and a device", () =>
    withScene((scene) =>
      attempt(scene, async (folder, refuses) => {
        await refuses({ output: folder, code: "OUTPUT_UNSAFE", extra: ["--force"] });
        await refuses({ output: "/dev/null", code: "OUTPUT_UNSAFE", extra: ["--force"] });
      }),
    ));

  test.concurrent("fails in a folder that is not there, or no folder", () =>
    withScene((scene) =>
      attempt(scene, async (folder, refuses) => {
        writeFileSync(join(folder, "file"), "");
        await refuses({ output: join(folder, "missing", "core"), code: "OUTPUT_FAILED" });
        await refuses({ output: join(folder, "file", "core"), code: "OUTPUT_FAILED" });
      }),
    ));

  test.concurrent("fails in a folder that is not the user's", () =>
    withScene((scene) =>
      attempt(
        scene,
        async (folder, refuses) => {
          chmodSync(folder, 0o755);
          await refuses({ output: join(folder, "core"), code: "OUTPUT_FAILED", asNobody: true });
        },
        true,
      ),
    ));

  test.concurrent("fails beyond the limit of a file's size, and is not killed by SIGXFSZ", () =>
    withScene((scene) =>
      attempt(scene, async (folder, refuses) => {
        const under = ["prlimit", "--fsize=65536"];
        await refuses({ output: join(folder, "core"), code: "OUTPUT_FAILED", under });
      }),
    ));

  test("fails on a full disk; the core that was there is the old one still", () =>
    withScene((scene) =>
      attempt(scene, async (folder, refuses, target) => {
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=768k", "tmpfs", folder]);
        try {
          const output = join(folder, "core");
          await refuses({ output, code: "OUTPUT_FAILED" });
          writeFileSync(output, "precious");
          await refuses({ output, code: "OUTPUT_FAILED", extra: ["--force"] });
          await refuses({ output, code: "OUTPUT_FAILED", extra: ["--force", "--kill"] });
          expect(readFileSync(output, "utf8")).toBe("precious");
          expect(isAlive(target)).toBe(true);
        } finally {
          execFileSync("umount", [folder]);
        }
      }),
    ));
});
