/** Trees that cannot be saved: refused by name, with the process that is meant, before anything is stopped. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { membersOf } from "../harness/family.js";
import { runsFreely } from "../harness/process.js";
import { expectRefusal, listing } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

/** A child that dies with its parent does `begin`; the parent does `then` and waits. */
function withChild(begin: string, then = "pass"): string {
  return [
    "import ctypes, os, socket, time",
    "libc = ctypes.CDLL(None)",
    "r, w = os.pipe()",
    "child = os.fork()",
    "if child == 0:",
    "    libc.prctl(1, 9)",
    `    ${begin}`,
    "    os.write(w, b'.')",
    "    while True: time.sleep(1000)",
    "os.read(r, 1)",
    then,
    "print('ready', child, flush=True)",
    "while True: time.sleep(1000)",
  ].join("\n");
}

async function start(
  scene: Scene,
  script: string,
  more: { asNobody?: boolean } = {},
): Promise<Target & { child: number }> {
  const target = await scene.start(["python3", "-c", script], more);
  await target.says("ready");
  return { ...target, child: Number(target.output().match(/ready (\d+)/)?.[1]) };
}

/** Refuses, names what is expected, and leaves all as it was. */
async function refused(
  scene: Scene,
  pid: number,
  {
    code,
    names,
    args = [],
    asNobody = false,
  }: { code: string; names: RegExp; args?: string[]; asNobody?: boolean },
): Promise<void> {
  const members = membersOf(pid);
  const before = listing(scene.folder);
  const result = await scene.cr(["checkpoint", `${pid}`, "-o", join(scene.folder, "tree"), ...args], {
    asNobody,
  });
  expectRefusal(result, { codes: [code as never], names });
  expect(listing(scene.folder)).toEqual(before);
  expect(membersOf(pid)).toEqual(members);
  expect(members.every(runsFreely)).toBe(true);
}

test("a far end outside the tree, by process and descriptor", () =>
  withScene(async (scene) => {
    const script = withChild(
      "pass",
      [
        "here, there = socket.socketpair()",
        "if os.fork() == 0:",
        "    other = os.fork()",
        "    if other: print('outside', other, flush=True); os._exit(0)",
        "    time.sleep(1000)",
        "os.wait()",
        "there.close()",
      ].join("\n"),
    );
    const { pid, child, output } = await start(scene, script);
    const outside = Number(output().match(/outside (\d+)/)?.[1]);
    scene.adopt(outside);
    const names = new RegExp(
      `fd:\\d+: a pipe \\(pipe:\\[\\d+\\]\\) that process ${outside} \\(python3\\) has as descriptor \\d+, too`,
    );
    await refused(scene, pid, { code: "UNSUPPORTED_STATE", names });
    await refused(scene, pid, {
      code: "UNSUPPORTED_STATE",
      names: new RegExp(`a socket \\(socket:\\[\\d+\\]\\) that process ${outside} `),
    });
    expect(child).toBeGreaterThan(0);
  }));

test("state of a child, by its pid", () =>
  withScene(async (scene) => {
    const { pid, child } = await start(scene, withChild("os.pidfd_open(os.getpid())"));
    const names = new RegExp(`^cannot checkpoint process ${pid}: .*process ${child}: fd:\\d+: \\[pidfd\\]`);
    await refused(scene, pid, { code: "UNSUPPORTED_STATE", names });
  }));

test("children, with --no-tree", () =>
  withScene(async (scene) => {
    const { pid, child } = await start(scene, withChild("pass"));
    await refused(scene, pid, {
      code: "UNSUPPORTED_STATE",
      names: new RegExp(`child processes \\(${child}\\), without --no-tree they are saved, too`),
      args: ["--no-tree"],
    });
  }));

test("a member that may not be traced", () =>
  withScene(async (scene) => {
    const { pid, child } = await start(scene, withChild("libc.prctl(4, 0)"), { asNobody: true });
    await refused(scene, pid, {
      code: "NOT_PERMITTED",
      names: new RegExp(`process ${child}`),
      asNobody: true,
    });
  }));

describe("what processes share without being threads", () => {
  test.each([
    ["files", "descriptor table \\(CLONE_FILES\\)"],
    ["fs", "working folder and umask \\(CLONE_FS\\)"],
  ])("%s of a grandchild, and not of its parent", (mode, words) =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("kindred"), "FOLDER", mode]);
      await target.says("ready");
      const shared = `it shares its ${words} with process ${target.pid}, and none of its parent, children`;
      const names = new RegExp(`process \\d+: ${mode}: ${shared}`);
      await refused(scene, target.pid, { code: "UNSUPPORTED_STATE", names });
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    }),
  );
});

test("a member that shares its memory with a process outside", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("kindred"), "FOLDER", "vm"]);
    await target.says("ready");
    const child = membersOf(target.pid)[1]?.pid ?? 0;
    const names = new RegExp(
      `vm: it shares its memory .* with process ${target.pid}, which is not in its tree`,
    );
    await refused(scene, child, { code: "UNSUPPORTED_STATE", names });
    target.go();
    expect(await target.ended(), target.output()).toBe("exited 0");
  }));

describe("tracing", () => {
  test("of a child by its parent", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("kindred"), "FOLDER", "trace"]);
      await target.says("ready");
      const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", "tree"]);
      expectRefusal(result, {
        codes: ["ALREADY_TRACED"],
        names: `process ${target.pid} (kindred) traces it already`,
      });
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    }));

  test("of another process", () =>
    withScene(async (scene) => {
      const other = await scene.start(["sleep", "1000"]);
      const target = await scene.start([fixture("kindred"), "FOLDER", "trace", `${other.pid}`]);
      await target.says("ready");
      const names = `trace: it traces process ${other.pid} (sleep)`;
      await refused(scene, target.pid, {
        code: "UNSUPPORTED_STATE",
        names: new RegExp(names.replace(/[()]/g, "\\$&")),
      });
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    }));
});
