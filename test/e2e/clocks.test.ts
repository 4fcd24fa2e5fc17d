/** Clocks that count from boot go on in a restored program: on the same boot, in a time namespace, after another boot. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { planClocks } from "../../src/restore/clocks.js";
import { parseTimeOffsets } from "../../src/tracee/clocks.js";
import { describeResult } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { type Identity, killHard } from "../harness/process.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const DAY = 86_400n * 1_000_000_000n;
const NONE = { monotonicNs: 0n, boottimeNs: 0n };

describe("planClocks()", () => {
  const seen = (inside: bigint, host: bigint) => ({
    clocks: { monotonicNs: inside, boottimeNs: inside, hostMonotonicNs: host, hostBoottimeNs: host },
  });
  const up = (ns: bigint) => ({ monotonicNs: ns, boottimeNs: ns });
  const plan = (state: object, context: object = {}) =>
    planClocks(state, { sameBoot: false, host: up(DAY), own: NONE, mayShift: true, ...context });

  test("leaves clocks alone on the same boot, and those of a host that was up for longer", () => {
    expect(plan({})).toBe("");
    expect(plan(seen(DAY, DAY), { sameBoot: true, host: up(2n * DAY) })).toBe("");
    expect(plan(seen(DAY - 5n, DAY - 5n))).toBe("");
  });

  test("shifts them where they would go back, or were shifted on this boot", () => {
    expect(plan(seen(DAY + 1_500_000_000n, DAY))).toBe("monotonic 1 500000000\nboottime 1 500000000\n");
    expect(plan(seen(DAY - 500_000_000n, DAY), { sameBoot: true })).toBe(
      "monotonic -1 500000000\nboottime -1 500000000\n",
    );
  });

  test("says so where it may not", () => {
    expect(() => plan(seen(3n * DAY, DAY), { mayShift: false })).toThrow(
      /172800 s ahead of that of this host/,
    );
  });

  test("reads what the kernel shows", () => {
    const text = "monotonic          -5 250000000\nboottime           7         0\n";
    expect(parseTimeOffsets(text)).toEqual({ monotonicNs: -4_750_000_000n, boottimeNs: 7_000_000_000n });
    expect(parseTimeOffsets("")).toEqual(NONE);
  });
});

const SHIFTED = ["unshare", "--time", "--monotonic", "5000000", "--boottime", "7000000"];

test("a program in a time namespace goes on in one with the same clocks", () =>
  withScene(async (scene) => {
    // exec stays outside the new namespace, its children are in it; the shell says who they are.
    const shell = 'exec 3>&1; "$0" "$1" & echo "pid $!"; wait';
    const outer = await scene.start([...SHIFTED, "sh", "-c", shell, fixture("clock"), "FOLDER"]);
    await outer.says("ready");
    await outer.says("pid");
    const pid = Number(outer.output().match(/pid (\d+)/)?.[1]);
    let life: Identity = scene.adopt(pid);
    for (let cycle = 1; cycle <= 2; cycle += 1) {
      const core = join(scene.folder, `core.${cycle}`);
      await checkpoint(scene, { target: life, core });
      await killHard(life);
      const result = await scene.cr(["restore", "--detach", core]);
      expect(result.status, describeResult(result)).toBe(0);
      life = scene.adopt(pid);
    }
    outer.go();
    await expect.poll(() => outer.output(), { timeout: 20_000 }).toMatch(/ok\n$/);
  }));
