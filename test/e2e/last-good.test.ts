/**
 * What may go wrong in the rounds of a copy: the disk is full, the program forks, gives memory up or ends between two of
 * them. The earlier core under the same name, or the earlier generation of a watch, stands and proves.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { type CrOptions, type CrResult, describeResult } from "../harness/cr.js";
import { checkpoint, restore, running } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { killHard, runsFreely, statOf } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

const PAGE_BYTES = 4096;
const LIVE = ["--force", "--mode", "live"];

/** Forks, or gives half of its memory up, when a file of that name appears; knows what its memory must hold. */
const PROGRAM = `
import mmap, os, sys, time
folder, size = sys.argv[1], 24 << 20
m = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
n = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, size, ${PAGE_BYTES}): m[at] = n[at] = at // ${PAGE_BYTES} % 251
print("ready", flush=True)
def told(name):
    path = os.path.join(folder, name)
    if not os.path.exists(path): return False
    os.unlink(path)
    return True
child = 0
while not os.path.exists(os.path.join(folder, "go")):
    if told("fork"):
        child = os.fork()
        if child == 0:
            while os.getppid() != 1: time.sleep(0.01)
            os._exit(0)
        print("forked", flush=True)
    if told("unmap"):
        n.close()
        print("unmapped", flush=True)
    time.sleep(0.002)
for at in range(0, size, ${PAGE_BYTES}):
    if m[at] != at // ${PAGE_BYTES} % 251: sys.exit("page at %d differs" % at)
if child: os.kill(child, 9); os.waitpid(child, 0)
print("ok", flush=True)
`;

/** A checkpoint in rounds that cr is held in after the first, while `act` happens. */
async function betweenRounds(
  { scene, target, core }: { scene: Scene; target: Target; core: string },
  act: () => Promise<void>,
): Promise<CrResult> {
  const args = ["checkpoint", `${target.pid}`, "-o", core, ...LIVE];
  const cr = scene.startCr(args, { env: { CR_FAULT: "after-round:hold" } });
  const isHeld = () => statOf(cr.pid)?.state === "T";
  await eventually("cr is held", isHeld);
  await act();
  // It is held after every round.
  const timer = setInterval(() => isHeld() && process.kill(cr.pid, "SIGCONT"), 10);
  const end = await cr.done;
  clearInterval(timer);
  return end;
}

/** The core is whole, and nothing but it is in its folder. */
async function expectWhole(scene: Scene, core: string): Promise<void> {
  const verified = await scene.cr(["verify", core]);
  expect(verified.status, describeResult(verified)).toBe(0);
  expect(readdirSync(join(core, "..")).filter((name) => !name.startsWith("lost+"))).toEqual([basename(core)]);
}

function coreIn(scene: Scene): string {
  mkdirSync(join(scene.folder, "cores"));
  return join(scene.folder, "cores", "core");
}

async function begin(scene: Scene): Promise<Target> {
  const target = await scene.start(["python3", "-c", PROGRAM, "FOLDER"]);
  await target.says("ready");
  return target;
}

test.each(["disk", "limit of a file's size"])("a full %s in a round leaves the earlier core", (what) =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("rewriter"), "FOLDER"]);
    await target.says("ready");
    const core = coreIn(scene);
    const isDisk = what === "disk";
    if (isDisk) execFileSync("mount", ["-t", "tmpfs", "-o", "size=34m", "tmpfs", join(core, "..")]);
    try {
      await checkpoint(scene, { target, core, extra: LIVE });
      const before = readFileSync(core);
      const options: CrOptions = isDisk ? {} : { under: ["prlimit", `--fsize=${8 << 20}`] };
      for (const more of [[], ["--kill"]]) {
        const refused = await scene.cr(
          ["checkpoint", `${target.pid}`, "-o", core, ...LIVE, ...more],
          options,
        );
        expect(refused.status, describeResult(refused)).toBe(1);
        expect(refused.stderr).toMatch(/^cr: OUTPUT_FAILED: /);
        expect(runsFreely(target)).toBe(true);
        expect(readFileSync(core).equals(before)).toBe(true);
        await expectWhole(scene, core);
      }
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    } finally {
      if (isDisk) execFileSync("umount", [join(core, "..")]);
    }
  }),
);

test("the end of the program between two rounds leaves the earlier core, which restores", () =>
  withScene(async (scene) => {
    const target = await begin(scene);
    const core = coreIn(scene);
    await checkpoint(scene, { target, core, extra: LIVE });
    const before = readFileSync(core);
    const end = await betweenRounds({ scene, target, core }, () => killHard(target));
    expect(end.status, describeResult(end)).toBe(1);
    expect(end.stderr).toMatch(/^cr: (TARGET_CHANGED|NO_SUCH_PROCESS): cannot /);
    expect(readFileSync(core).equals(before)).toBe(true);
    await expectWhole(scene, core);
    const restored = await scene.cr(["restore", core, "--detach"]);
    expect(restored.status, describeResult(restored)).toBe(0);
    scene.adopt(target.pid);
    target.go();
    await eventually("it finds its memory as it was", () => target.output().endsWith("ok\n"));
  }));

test("a fork between two rounds: both are in the folder that takes the place of the earlier core", () =>
  withScene(async (scene) => {
    const target = await begin(scene);
    const core = coreIn(scene);
    await checkpoint(scene, { target, core, extra: LIVE });
    const end = await betweenRounds({ scene, target, core }, async () => {
      writeFileSync(join(target.folder, "fork"), "");
      await target.says("forked");
    });
    expect(end.status, describeResult(end)).toBe(0);
    expect(readdirSync(core)).toContain("manifest.json");
    expect(runsFreely(target)).toBe(true);
    await expectWhole(scene, core);
    target.go();
    expect(await target.ended(), target.output()).toBe("exited 0");
  }));

test("memory given up between two rounds is not in the core that takes the place of the earlier one", () =>
  withScene(async (scene) => {
    const target = await begin(scene);
    const core = coreIn(scene);
    await checkpoint(scene, { target, core, extra: LIVE });
    const before = statSync(core);
    const end = await betweenRounds({ scene, target, core }, async () => {
      writeFileSync(join(target.folder, "unmap"), "");
      await target.says("unmapped");
    });
    expect(end.status, describeResult(end)).toBe(0);
    await expectWhole(scene, core);
    expect(statSync(core).ino).not.toBe(before.ino);
    const restored = await restore(scene, { target, core });
    await running(restored);
    target.go();
    expect((await restored.cr.done).status, target.output()).toBe(0);
  }));
