/**
 * Programs that sit in a blocked system call while they are checkpointed, and after they were restored: no spurious
 * EINTR, no timeout that ends too early, none that ends grossly late, no wake-up lost or doubled.
 */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { checkpoint, restore, running } from "../harness/cycle.js";
import { sleep } from "../harness/eventually.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

const TIMED = [
  "nanosleep", "clock-relative", "clock-absolute", "clock-realtime", "poll", "ppoll", "select", "pselect", "futex",
  "futex-absolute", "sigtimedwait", "semtimedop", "epoll",
]; // biome-ignore format: a list of calls reads best in rows
const TIME_MS = 6_000;
/** A checkpoint may cost the call this much; a restore may, by re-issuing it, cost its whole time once more. */
const LATE_MS = { checkpoint: 4_500, restore: 15_000 };
/** The kernel keeps no restart record of these: a checkpoint makes them begin their wait anew (docs/limits.md). */
const BEGIN_ANEW = ["sigtimedwait", "semtimedop", "epoll"];

async function begin(scene: Scene, call: string, lateMs: number): Promise<Target> {
  const target = await scene.start([fixture("blocked"), "FOLDER", call, `${TIME_MS}`, `${TIME_MS + lateMs}`]);
  await target.says("ready");
  await sleep(300);
  return target;
}

async function expectOk(target: Target): Promise<void> {
  expect(await target.ended(), target.output()).toBe("exited 0");
  expect(target.output()).toMatch(/ok\n$/);
}

describe("a timed call", () => {
  test.concurrent.each(TIMED)("%s does not notice two checkpoints", (call) =>
    withScene(async (scene) => {
      const target = await begin(scene, call, LATE_MS.checkpoint + (BEGIN_ANEW.includes(call) ? TIME_MS : 0));
      await checkpoint(scene, { target, core: join(scene.folder, "core") });
      // On a slow machine the call may be over before the second one.
      const again = await scene.cr(["checkpoint", String(target.pid), "-o", join(scene.folder, "core.2")]);
      expect(
        again.status === 0 || /NO_SUCH_PROCESS|TARGET_CHANGED/.test(again.stderr),
        describeResult(again),
      ).toBe(true);
      await expectOk(target);
    }),
  );

  test.concurrent.each(TIMED)("%s goes on after a restore", (call) =>
    withScene(async (scene) => {
      const target = await begin(scene, call, LATE_MS.restore);
      const core = join(scene.folder, "core");
      await checkpoint(scene, { target, core });
      const { cr } = await restore(scene, { target, core });
      const end = await cr.done;
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
      expect(target.output()).toMatch(/ok\n$/);
    }),
  );
});

/** What ends each call that waits for ever. */
const WOKEN: Readonly<Record<string, (scene: Scene, target: Target) => Promise<void>>> = {
  pause: bySignal,
  sigsuspend: bySignal,
  sigwaitinfo: bySignal,
  "futex-wake": byFutex,
};

async function bySignal(_scene: Scene, { pid }: Target): Promise<void> {
  process.kill(pid, "SIGUSR1");
}

async function byFutex(scene: Scene, target: Target): Promise<void> {
  const waker = await scene.start([fixture("blocked"), target.folder, "wake", "0", "5000"]);
  await expectOk(waker);
}

describe("a call that waits to be woken", () => {
  test.concurrent.each(Object.entries(WOKEN))("%s does not notice a checkpoint", (call, wake) =>
    withScene(async (scene) => {
      const target = await begin(scene, call, 60_000);
      await checkpoint(scene, { target, core: join(scene.folder, "core") });
      await sleep(200);
      expect(target.output()).toBe("ready\n");
      await wake(scene, target);
      await expectOk(target);
    }),
  );

  test.concurrent.each(Object.entries(WOKEN))("%s is woken after a restore", (call, wake) =>
    withScene(async (scene) => {
      const target = await begin(scene, call, 60_000);
      const core = join(scene.folder, "core");
      await checkpoint(scene, { target, core });
      const restored = await restore(scene, { target, core });
      await running(restored);
      await sleep(200);
      expect(target.output()).toBe("ready\n");
      await wake(scene, target);
      const end = await restored.cr.done;
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    }),
  );
});

describe("a call that every stop ends", () => {
  test.concurrent.each(BEGIN_ANEW)("%s still times out while it is checkpointed all the time", (call) =>
    withScene(async (scene) => {
      const target = await begin(scene, call, TIME_MS + 4_000);
      const watch = scene.startCr(["watch", String(target.pid), "--every", "700ms", "--name", "drift"], {
        env: { CR_HOME: join(scene.folder, "home") },
      });
      await expectOk(target);
      const { status } = await watch.done;
      expect(status).toBe(0);
    }),
  );
});
