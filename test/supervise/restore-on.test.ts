/** `cr restore --cpus` for real: confined as root, by affinity alone as another user, refused where a CPU is missing. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult, jsonOf } from "../harness/cr.js";
import { killHard, statOf, statusLine } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

/** A counter that was saved and killed; its pid, and the core. */
async function savedCounter(scene: Scene, asNobody = false): Promise<{ pid: number; core: string }> {
  const target = await scene.start([fixture("counter"), "FOLDER", "1000000"], { asNobody });
  await target.says("3\n");
  const core = join(target.folder, "core");
  const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", core], { asNobody });
  expect(result.status, describeResult(result)).toBe(0);
  await killHard(target);
  return { pid: target.pid, core };
}

test("as root the program is in a cpuset and cannot leave its CPUs", () =>
  withScene(async (scene) => {
    const { pid, core } = await savedCounter(scene);
    const result = await scene.cr(["restore", "--detach", "--cpus", "1", core]);
    expect(result.status, describeResult(result)).toBe(0);
    scene.adopt(pid);
    expect(statusLine(pid, "Cpus_allowed_list")).toBe("1");
    expect(readFileSync(`/proc/${pid}/cgroup`, "utf8")).toMatch(/\/recore\/restore\.\d+\.\d+$/m);
    const moved = spawnSync("taskset", ["-p", "-c", "0", `${pid}`], { encoding: "utf8" });
    expect(moved.stderr).toMatch(/Invalid argument/);
    expect(statusLine(pid, "Cpus_allowed_list")).toBe("1");
  }));

test("a CPU that this host does not have is refused before anything starts", () =>
  withScene(async (scene) => {
    const { pid, core } = await savedCounter(scene);
    const result = await scene.cr(["restore", "--cpus", "0,4000", core]);
    expect(result.status).toBe(125);
    expect(result.stderr).toContain("CPU_UNAVAILABLE: placing the program: CPU 4000 is not online");
    expect(result.stderr).toMatch(/next: choose from 0/);
    expect(statOf(pid)).toBeNull();
  }));

test("another user gets affinity alone, and is told so", () =>
  withScene(async (scene) => {
    const { core } = await savedCounter(scene, true);
    const args = ["restore", "--detach", "--pid", "new", "--cpus", "1", "--json", core];
    const result = await scene.cr(args, { asNobody: true });
    expect(result.status, describeResult(result)).toBe(0);
    const { pid, softErrors } = jsonOf(result) as {
      pid: number;
      softErrors: { kind: string; message: string }[];
    };
    scene.adopt(pid);
    expect(statusLine(pid, "Cpus_allowed_list")).toBe("1");
    expect(softErrors.filter(({ kind }) => kind === "affinity")).toEqual([
      expect.objectContaining({
        message: expect.stringMatching(/^the program is kept on CPU 1 by affinity only/),
      }),
    ]);
  }));
