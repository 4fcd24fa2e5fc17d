/**
 * Cpuset groups: for real in the hierarchy this machine has, and the file layout of version 2 in a plain folder,
 * since a controller is in one hierarchy at a time.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseCpuList } from "../../src/cpus/cpu-list.js";
import { makeCpuset } from "../../src/cpus/cpuset.js";
import { type CpusetHierarchy, findCpusetHierarchy } from "../../src/host/cgroup.js";

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0).reverse()) step();
});

function required(): CpusetHierarchy {
  const hierarchy = findCpusetHierarchy();
  if (hierarchy === undefined) throw new Error("these tests need a cpuset hierarchy: mount one");
  return hierarchy;
}

/** Kills a child and waits until the kernel has let go of it, so that its group can be removed. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}

describe("in the hierarchy of this machine", () => {
  test("a process and its later children cannot leave the group", async () => {
    const hierarchy = required();
    const [first = 0, ...others] = parseCpuList(hierarchy.ownCpus);
    const cpuset = makeCpuset(hierarchy, "test confine/it", [first]);
    undo.push(() => cpuset.remove());
    // Waits for a line, then a child of it tries every CPU that was taken away.
    const script = `
import os, subprocess, sys
sys.stdin.readline()
code = "import os\\ntry: os.sched_setaffinity(0, {${others.join(",")}}); print('left')\\nexcept OSError as e: print(e.errno)"
print(sorted(os.sched_getaffinity(0)), subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip())
`;
    const child = spawn("python3", ["-c", script], { stdio: ["pipe", "pipe", "inherit"] });
    const exit = new Promise((resolve) => child.once("exit", resolve));
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    cpuset.join(child.pid ?? 0);
    expect(readFileSync(cpuset.procsFile, "utf8").trim()).toBe(String(child.pid));
    child.stdin.end("go\n");
    await exit;
    const EINVAL = 22;
    expect(output.trim()).toBe(`[${first}] ${EINVAL}`);
    cpuset.remove();
    expect(existsSync(cpuset.folder)).toBe(false);
  });

  test("a group in use stays, and a later run removes it once it is empty", async () => {
    const hierarchy = required();
    const cpus = parseCpuList(hierarchy.ownCpus);
    // Made by a cr that is gone: its pid is in the name.
    const dead = Number(execFileSync("sh", ["-c", "echo $$"], { encoding: "utf8" }));
    const mine = makeCpuset(hierarchy, "left", cpus);
    undo.push(() => mine.remove());
    const left = join(dirname(mine.folder), `left.${dead}`);
    mkdirSync(left);
    writeFileSync(join(left, "cpuset.cpus"), hierarchy.ownCpus);
    writeFileSync(join(left, "cpuset.mems"), hierarchy.ownMems);
    const child = spawn("sleep", ["60"], { stdio: "ignore" });
    writeFileSync(join(left, "cgroup.procs"), String(child.pid));

    makeCpuset(hierarchy, "second", cpus).remove();
    expect(existsSync(left)).toBe(true);
    await end(child);
    makeCpuset(hierarchy, "third", cpus).remove();
    expect(existsSync(left)).toBe(false);
    expect(existsSync(mine.folder)).toBe(true);
  });

  test("two of one name are two groups", () => {
    const hierarchy = required();
    const cpus = parseCpuList(hierarchy.ownCpus);
    const [one, two] = [makeCpuset(hierarchy, "same", cpus), makeCpuset(hierarchy, "same", cpus.slice(0, 1))];
    undo.push(one.remove, two.remove);
    expect(one.folder).not.toBe(two.folder);
    expect(readFileSync(join(one.folder, "cpuset.cpus"), "utf8").trim()).toBe(hierarchy.ownCpus);
  });

  test("CPUs the kernel does not have are refused with its reason", () => {
    const hierarchy = required();
    expect(() => makeCpuset(hierarchy, "absent", [4000])).toThrow(
      expect.objectContaining({
        code: "CGROUP",
        message: expect.stringMatching(/^making the cpuset cgroup .*absent\.1\./),
      }),
    );
    const left = readdirSync(join(hierarchy.version === 1 ? hierarchy.own : hierarchy.mount, "recore"));
    expect(left.filter((name) => name.startsWith("absent"))).toEqual([]);
  });
});

describe("in version 2", () => {
  let mount: string;
  beforeEach(() => {
    mount = mkdtempSync(join(tmpdir(), "recore-v2-"));
    undo.push(() => rmSync(mount, { recursive: true }));
  });

  test("the controller is handed down and the group stands at the top", () => {
    const parent = {
      version: 2,
      mount,
      own: join(mount, "user.slice"),
      ownCpus: "0-3",
      ownMems: "0",
    } as const;
    const cpuset = makeCpuset(parent, "job", [1, 3]);
    expect(cpuset.folder).toBe(join(mount, "recore", `job.1.${process.pid}`));
    const read = (name: string) => readFileSync(join(mount, name), "utf8");
    expect(read("cgroup.subtree_control")).toBe("+cpuset");
    expect(read("recore/cgroup.subtree_control")).toBe("+cpuset");
    expect(read("recore/cpuset.cpus")).toBe("0-3");
    expect(read(`recore/job.1.${process.pid}/cpuset.cpus`)).toBe("1,3");
  });

  test("a hierarchy that cannot be written to is told", () => {
    const parent = { version: 2, mount: "/nowhere/cgroup", own: "/", ownCpus: "0", ownMems: "0" } as const;
    expect(() => makeCpuset(parent, "job", [0])).toThrow(
      expect.objectContaining({ code: "CGROUP", hint: expect.stringContaining("/nowhere/cgroup") }),
    );
  });
});
