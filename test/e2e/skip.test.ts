/** `--skip`: what cannot be saved is left out by consent, and whoever restores the core consents again. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { familyOf } from "../../src/tracee/kin.js";
import { describeResult } from "../harness/cr.js";
import { checkpoint, restore, running } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { isAlive, killHard } from "../harness/process.js";
import { expectRefusal, FAILED, FAILED_FOREGROUND } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { checkpointTree, killTree, membersOf } from "../harness/tree.js";
import { alterCore } from "./alter-core.js";

const SKIPS = ["--skip", "fd:20", "--skip", "fd:22"];

describe("descriptors that cannot be saved", () => {
  test("are refused together, each with the option that leaves it out; the program does not notice", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("leftout"), "FOLDER", "alone"]);
      await target.says("ready");
      const core = join(scene.folder, "core");
      const codes = ["UNSUPPORTED_STATE"] as const;
      expectRefusal(await scene.cr(["checkpoint", `${target.pid}`, "-o", core]), {
        codes,
        names:
          /fd:20: .*family 16.*\(--skip fd:20 leaves it out\); fd:22: unread packets.*\(--skip fd:22 leaves it out\)$/,
      });
      const some = ["checkpoint", `${target.pid}`, "-o", core, "--skip", "fd:20"];
      expectRefusal(await scene.cr(some), {
        codes,
        names: /fd:22: unread packets.*\(--skip fd:22 leaves it out\)$/,
      });
      await checkpoint(scene, { target, core, extra: SKIPS });
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    }));

  test("go with all members of a tree that have them; a member's own are named with its number", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("leftout"), "FOLDER", "tree"]);
      await target.says("ready");
      const [, child = 0] = familyOf(target.pid).map(({ pid }) => pid);
      const bundle = join(scene.folder, "bundle");
      const codes = ["UNSUPPORTED_STATE"] as const;
      const own = `fd:${child}.30`;
      expectRefusal(await scene.cr(["checkpoint", `${target.pid}`, "-o", bundle, ...SKIPS]), {
        codes,
        names: new RegExp(`process ${child}: fd:30: .*\\(--skip ${own} leaves it out\\)$`),
      });
      const extra = [...SKIPS, "--skip", own];
      const told = await checkpointTree(scene, { target, bundle, extra });
      const closed = expect.stringMatching(new RegExp(`descriptors .*20 of process ${child}`));
      const ids = [{ id: "fd:20", message: closed }, { id: "fd:22" }, { id: own }];
      expect(told.softErrors).toMatchObject(ids);
      await killTree(scene, membersOf(bundle));
      const names = new RegExp(`would lack fd:20: .*; ${own}: `);
      expectRefusal(await scene.cr(["restore", bundle]), { codes, status: FAILED_FOREGROUND, names });
      target.go();
      const end = await scene.cr(["restore", bundle, ...extra]);
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
      expect(target.output()).toMatch(/ok\n$/);
    }));

  test("are closed after a restore, which asks again; nothing else is missing, three times over", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("leftout"), "FOLDER"]);
      await target.says("ready");
      let life: { pid: number; startTicks: string } = target;
      let last: Awaited<ReturnType<typeof restore>> | undefined;
      for (const cycle of [1, 2, 3]) {
        const core = join(scene.folder, `core.${cycle}`);
        const extra = cycle === 1 ? SKIPS : [];
        const told = await checkpoint(scene, { target: life, core, extra: [...extra, "--strict"] });
        if (cycle === 1) {
          expect(told.softErrors).toMatchObject([
            { kind: "skipped", id: "fd:20", message: expect.stringContaining("21") },
            { kind: "skipped", id: "fd:22", message: expect.stringContaining("23") },
          ]);
          const refusal = await scene.cr(["restore", core, "--skip", "fd:22"]);
          const expected = { codes: ["UNSUPPORTED_STATE"] as const, status: FAILED_FOREGROUND };
          expectRefusal(refusal, { ...expected, names: /it would lack fd:20: a socket/ });
          expect(refusal.stderr).toContain("add --skip fd:20 to go without\n");
        }
        last = await restore(scene, { target: life, core, extra });
        life = await running(last);
      }
      target.go();
      const end = await last?.cr.done;
      expect(end?.status, `${end && describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    }));
});

test("instruction sets that this CPU lacks, and a signal for the parent's end, are consented to at a restore", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("calls"), "FOLDER"]);
    await target.says("ready");
    const core = join(scene.folder, "core");
    const altered = join(scene.folder, "altered");
    await checkpoint(scene, { target, core });
    await killHard(target);
    const cpu = { vendor: "GenuineIntel", model: "Elder CPU", features: ["sse2", "3dnow", "avx512er"] };
    alterCore(core, altered, {
      state: (state) => ({
        ...state,
        host: { ...state.host, cpu },
        process: { ...state.process, parentDeathSignal: 15 },
      }),
    });
    const refused = await scene.cr(["restore", "--detach", altered]);
    expectRefusal(refused, {
      codes: ["UNSUPPORTED_STATE"],
      status: FAILED,
      names: /cpu:3dnow: the instructions 3dnow of Elder CPU.*cpu:avx512er.*pdeathsig:15: the signal 15/,
    });
    const flags = "--skip cpu:3dnow --skip cpu:avx512er --skip pdeathsig:15";
    expect(refused.stderr).toContain(`add ${flags} to go without, or leave out --detach\n`);
    const result = await scene.cr(["restore", "--detach", altered, ...flags.split(" ")]);
    expect(result.status, describeResult(result)).toBe(0);
    expect(result.stderr).toMatch(/warning: it goes on without the instructions 3dnow/);
    const life = scene.adopt(target.pid);
    target.go();
    await eventually("it has ended by itself", () => !isAlive(life));
    expect(target.output()).toMatch(/ok\n$/);
  }));

test.each([["fd7"], ["fd:"], [""]])("'%s' is wrong usage", (text) =>
  withScene(async (scene) => {
    const result = await scene.cr(["checkpoint", "1", "--skip", text]);
    expect(result.status).toBe(2);
    expect(result.stderr).toMatch(/not of the form KIND:ID, such as fd:7/);
  }),
);
