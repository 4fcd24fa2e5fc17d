/** Seizing, stopping and letting go: what the target, its parent and whoever signals it notice of that. */
import { describe, expect, test } from "vitest";
import { isNativeError } from "../../src/tracee/native-error.js";
import { readStat } from "../../src/tracee/proc-status.js";
import { Tracee, UnexpectedStop } from "../../src/tracee/tracee.js";
import { eventually, sleep } from "../harness/eventually.js";
import { isAlive, runsFreely, statOf, statusLine } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";
import { buildProgram } from "./build.js";

const places = buildProgram("places");
/** Counts the signals it gets. */
const TRAPS = "trap 'echo got' USR1; echo ready; while [ ! -e FOLDER/go ]; do sleep 0.02; done; echo ok";

async function ready(scene: Scene, argv: readonly string[]): Promise<Target> {
  const target = await scene.start(argv);
  await target.says("ready");
  return target;
}

async function endsWell(target: Target): Promise<void> {
  await eventually("it runs freely", () => runsFreely(target));
  target.go();
  expect(await target.ended(), target.output()).toBe("exited 0");
}

function failure(act: () => void): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error("it did not fail");
}

describe("a target", () => {
  test("is stopped and let go many times without noticing, signals of its own timer included", () =>
    withScene(async (scene) => {
      const target = await ready(scene, [places(), "ticking", "FOLDER"]);
      for (let round = 0; round < 200; round += 1) {
        const tracee = Tracee.seize(target.pid);
        tracee.stop(1_000);
        expect(readStat(target.pid).state).toBe("t");
        tracee.release();
        tracee.release();
        expect(statusLine(target.pid, "TracerPid")).toBe("0");
      }
      await endsWell(target);
    }));

  test("gets a signal that came while it was seized and never stopped", () =>
    withScene(async (scene) => {
      const target = await ready(scene, ["sh", "-c", TRAPS]);
      const tracee = Tracee.seize(target.pid);
      process.kill(target.pid, "SIGUSR1");
      // It stops on the way to the handler, and waits there for its tracer.
      await eventually("the signal has stopped it", () => statOf(target.pid)?.state === "t");
      tracee.release();
      await target.says("got");
      await endsWell(target);
    }));

  test("gets the signals that came while it was stopped", () =>
    withScene(async (scene) => {
      const target = await ready(scene, ["sh", "-c", TRAPS]);
      {
        using tracee = Tracee.seize(target.pid);
        tracee.stop(1_000);
        process.kill(target.pid, "SIGUSR1");
        await sleep(30);
        expect(target.output()).not.toContain("got");
      }
      await target.says("got");
      await endsWell(target);
    }));

  test("that is killed in its stop is its parent's to reap at once", () =>
    withScene(async (scene) => {
      const target = await ready(scene, [fixture("calls"), "FOLDER"]);
      const tracee = Tracee.seize(target.pid);
      tracee.stop(1_000);
      process.kill(target.pid, "SIGKILL");
      await eventually("it has died", () => !isAlive(target));
      tracee.release();
      expect(await target.ended({ timeoutMs: 2_000 })).toBe("killed 9");
    }));

  test("that ends while we wait for its stop is said to have ended, and by what", () =>
    withScene(async (scene) => {
      const target = await ready(scene, [fixture("calls"), "FOLDER"]);
      using tracee = Tracee.seize(target.pid);
      process.kill(target.pid, "SIGKILL");
      await eventually("it has ended", () => !isAlive(target));
      const error = failure(() => tracee.stop(1_000));
      expect(error).toBeInstanceOf(UnexpectedStop);
      expect((error as UnexpectedStop).stop).toMatchObject({ kind: "signaled", signal: 9 });
    }));

  test("that does not stop in time goes on, and can be stopped later", () =>
    withScene(async (scene) => {
      const target = await ready(scene, [places(), "vfork", "FOLDER"]);
      const tracee = Tracee.seize(target.pid);
      expect(
        isNativeError(
          failure(() => tracee.stop(50)),
          "ETIMEDOUT",
        ),
      ).toBe(true);
      tracee.release();
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    }));

  test("that job control has stopped stands well enough, and is left stopped", () =>
    withScene(async (scene) => {
      const target = await ready(scene, [fixture("calls"), "FOLDER"]);
      process.kill(target.pid, "SIGSTOP");
      await eventually("the signal has stopped it", () => statOf(target.pid)?.state === "T");
      const tracee = Tracee.seize(target.pid);
      tracee.stop(1_000);
      expect(tracee.stopSignal).toBe(19);
      tracee.release();
      await eventually("it is stopped by its signal", () => statOf(target.pid)?.state === "T");
      process.kill(target.pid, "SIGCONT");
      await endsWell(target);
    }));

  test("is left stopped when that was asked for, and killed in its stop when that was", () =>
    withScene(async (scene) => {
      const target = await ready(scene, [fixture("calls"), "FOLDER"]);
      const first = Tracee.seize(target.pid);
      first.stop(1_000);
      first.releaseStopped();
      await eventually("it is stopped", () => statOf(target.pid)?.state === "T");
      process.kill(target.pid, "SIGCONT");
      await eventually("it goes on", () => runsFreely(target));
      const second = Tracee.seize(target.pid);
      second.stop(1_000);
      second.kill();
      expect(await target.ended()).toBe("killed 9");
    }));
});
