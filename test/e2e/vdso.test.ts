/** A program whose vdso came from another kernel: each function of it leads to this kernel's. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { vdsoFunctions } from "../../src/core/vdso-image.js";
import type { ProcessState } from "../../src/state/process.js";
import { withRegisters } from "../../src/state/registers.js";
import { describeResult } from "../harness/cr.js";
import { checkpoint, restore, running } from "../harness/cycle.js";
import { killHard } from "../harness/process.js";
import { expectRefusal, FAILED_FOREGROUND } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { checkpointTree, killTree, membersOf } from "../harness/tree.js";
import { alterBundle, alterCore } from "./alter-core.js";

const vdsoOf = ({ vmas }: ProcessState) => vmas.find(({ path }) => path === "[vdso]");

/** As of another kernel: none of its code runs here, only the tables of symbols are kept. */
function strip(bytes: Buffer, address: bigint, state: ProcessState): void {
  if (address !== vdsoOf(state)?.start) return;
  const first = vdsoFunctions(bytes)?.[0];
  if (!first) throw new Error("the vdso has no functions");
  const end = bytes.readUInt32LE(40);
  bytes.fill(0xcc, first.offset, Math.max(end, first.offset));
}

const otherKernel = (state: ProcessState): ProcessState => ({
  ...state,
  host: { ...state.host, kernel: "5.4.0", vdsoCrc32c: (state.host.vdsoCrc32c ?? 0) ^ 1 },
});

test("goes on with this kernel's functions, through three checkpoints and two other kernels", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("vdso"), "FOLDER"]);
    await target.says("ready");
    let life: { pid: number; startTicks: string } = target;
    let last: Awaited<ReturnType<typeof restore>> | undefined;
    for (const cycle of [1, 2, 3]) {
      const core = join(scene.folder, `core.${cycle}`);
      const altered = `${core}.altered`;
      await checkpoint(scene, { target: life, core });
      if (cycle < 3) alterCore(core, altered, { state: otherKernel, pages: strip });
      last = await restore(scene, { target: life, core: cycle < 3 ? altered : core });
      life = await running(last);
    }
    target.go();
    const end = await last?.cr.done;
    expect(end?.status, `${end && describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    expect(target.output()).toMatch(/ok\n$/);
  }));

test("says so, and names what cannot be led to this kernel's", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("vdso"), "FOLDER"]);
    await target.says("ready");
    const core = join(scene.folder, "core");
    const altered = join(scene.folder, "altered");
    await checkpoint(scene, { target, core });
    await killHard(target);

    const refuses = async (names: RegExp, change: Parameters<typeof alterCore>[2]) => {
      alterCore(core, altered, { state: otherKernel, ...change });
      const codes = ["VDSO_MISMATCH"] as const;
      expectRefusal(await scene.cr(["restore", altered]), { codes, status: FAILED_FOREGROUND, names });
    };
    await refuses(/Linux 5\.4\.0.*this kernel has no (__vdso_)?g_tcpu/, {
      pages: (bytes, address, state) => {
        if (address !== vdsoOf(state)?.start) return;
        // The tail of one name is the other one.
        bytes.writeUInt8(0x5f, bytes.indexOf("__vdso_getcpu\0") + 8);
      },
    });
    await refuses(/thread \d+ stood inside it/, {
      state: (state) => ({
        ...otherKernel(state),
        threads: state.threads.map((thread) => ({
          ...thread,
          registers: withRegisters(thread.registers, { rip: (vdsoOf(state)?.start ?? 0n) + 0x900n }),
        })),
      }),
    });
    await refuses(/its functions cannot be read/, {
      pages: (bytes, address, state) => void (address === vdsoOf(state)?.start && bytes.fill(0)),
    });

    alterCore(core, altered, { state: otherKernel, pages: strip });
    const result = await scene.cr(["restore", "--detach", "--json", altered]);
    expect(result.status, describeResult(result)).toBe(0);
    const told = JSON.parse(result.stdout) as {
      pid: number;
      softErrors: { kind: string; message: string }[];
    };
    scene.adopt(told.pid);
    expect(told.softErrors.find(({ kind }) => kind === "vdso")?.message).toMatch(/Linux 5\.4\.0/);
  }));

test("a tree goes on with this kernel's functions, and asks for what its root is to lack", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("crowd"), "FOLDER", "2"]);
    await target.says("ready");
    const [bundle, altered] = [join(scene.folder, "bundle"), join(scene.folder, "altered")];
    await checkpointTree(scene, { target, bundle });
    await killTree(scene, membersOf(bundle));
    const mortal = (state: ProcessState) => {
      return { ...otherKernel(state), process: { ...state.process, parentDeathSignal: 15 } };
    };
    alterBundle(bundle, altered, { state: mortal, pages: strip });
    const refusal = await scene.cr(["restore", "--detach", altered]);
    expectRefusal(refusal, { codes: ["UNSUPPORTED_STATE"], names: /would lack pdeathsig:15: the signal 15/ });
    target.go();
    const end = await scene.cr(["restore", altered]);
    expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    expect(end.stderr).toMatch(/its vdso came from Linux 5\.4\.0/);
    expect(target.output()).toBe("ready\nok\n");
  }));
