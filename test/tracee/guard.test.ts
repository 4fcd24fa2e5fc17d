/**
 * A target while its registers are ours, and we die: it puts itself back, wherever its stack pointer was, and no
 * memory it relies on has changed. (test/torture kills at every system call; this is about the place we borrow.)
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { eventually } from "../harness/eventually.js";
import { runsFreely, statusLine } from "../harness/process.js";
import { withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";
import { buildProgram } from "./build.js";

const BORROWER = fileURLToPath(new URL("./borrower.mjs", import.meta.url));
const places = buildProgram("places");

/** A process that borrows the target, sleeps inside it, and lets it go. */
function startBorrower(target: Target, milliseconds: number) {
  const child = spawn(process.execPath, [BORROWER, `${target.pid}`, `${milliseconds}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  return { child, ended: once(child, "close"), said: () => said };
}

/** Kills a borrower while the target sleeps in the call that it was made to run. */
async function killInTheMiddle(target: Target): Promise<void> {
  const { child, ended, said } = startBorrower(target, 300);
  await eventually("the target sleeps in a remote call", () => said() !== "" && sleepsRemotely(target));
  child.kill("SIGKILL");
  await ended;
  expect(said()).toMatch(/^place 0x[0-9a-f]+\n$/);
}

/** Traced, and yet asleep instead of stopped. */
function sleepsRemotely(target: Target): boolean {
  return statusLine(target.pid, "TracerPid") !== "0" && statusLine(target.pid, "State").startsWith("S");
}

async function endsWell(target: Target): Promise<void> {
  expect(runsFreely(target)).toBe(true);
  target.go();
  expect(await target.ended(), target.output()).toBe("exited 0");
}

describe.concurrent("a target in the middle of a remote call", () => {
  test.each(["deep", "elsewhere"])("%s: finds back by itself when we are killed", (mode) =>
    withScene(async (scene) => {
      const target = await scene.start([places(), mode, "FOLDER"]);
      await target.says("ready");
      await killInTheMiddle(target);
      await eventually("it is let go", () => runsFreely(target));
      await endsWell(target);
    }),
  );

  test.each(["counter", "counter.static", "counter.musl", "counter.muslstatic"])("%s counts on", (name) =>
    withScene(async (scene) => {
      const target = await scene.start([fixture(name), "FOLDER", "100", "60000"]);
      await target.says("\n10\n");
      await killInTheMiddle(target);
      expect(await target.ended(), target.output()).toBe("exited 0");
      expect(target.output()).toMatch(/^ready\n0\n1\n2\n[\d\n]*\n98\n99\nok\n$/);
    }),
  );

  test.each(["deep", "elsewhere"])("%s: is put back by us when all goes well, again and again", (mode) =>
    withScene(async (scene) => {
      const target = await scene.start([places(), mode, "FOLDER"]);
      await target.says("ready");
      const said: string[] = [];
      for (let round = 0; round < 3; round += 1) {
        const borrower = startBorrower(target, 0);
        const [status] = await borrower.ended;
        expect(status).toBe(0);
        said.push(borrower.said());
      }
      // What was borrowed once can be borrowed again: the target does not grow with every checkpoint.
      expect(new Set(said).size, said.join("")).toBe(1);
      expect(said[0]).toMatch(/^place 0x[0-9a-f]+\nreleased\n$/);
      await endsWell(target);
    }),
  );
});
