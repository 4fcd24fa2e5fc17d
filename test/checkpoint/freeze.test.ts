/** Stopping: a call that every stop ends is restarted, and what cannot be saved is told all at once, before. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { checkpoint } from "../../src/checkpoint/checkpoint.js";
import { getRegister } from "../../src/state/registers.js";
import { childrenOf } from "../../src/tracee/process-facts.js";
import { eventually } from "../harness/eventually.js";
import { runsFreely, statOf } from "../harness/process.js";
import { withScene } from "../harness/scene.js";
import { buildProgram } from "../tracee/build.js";
import { whileFrozen } from "./frozen.js";

const places = buildProgram("places");

/** One epoll_wait and what it returned; Python's own would try again by itself. */
const EPOLL = `
import ctypes,os,sys
libc=ctypes.CDLL(None,use_errno=True)
r,w=os.pipe()
os.dup2(r,0); os.close(r); os.close(w)
e=libc.epoll_create1(0)
events=ctypes.create_string_buffer(12)
print('ready',flush=True)
n=libc.epoll_wait(e,events,1,700)
print('returned',n,ctypes.get_errno(),flush=True)
`;

describe("freeze", () => {
  test("puts back the EINTR that our stop gave to epoll_wait", () =>
    withScene(async (scene) => {
      const target = await scene.start(["python3", "-c", EPOLL]);
      await target.says("ready");
      for (let round = 0; round < 5; round += 1) {
        await eventually("it waits", () => statOf(target.pid)?.state === "S");
        await whileFrozen(target.pid, ({ threads }) => {
          const registers = threads.get(target.pid)?.registers ?? Buffer.alloc(0);
          expect(getRegister(registers, "orig_rax")).toBe(232n);
          expect(BigInt.asIntN(64, getRegister(registers, "rax"))).toBe(-514n);
        });
      }
      await target.says("returned 0 0");
    }));

  test("gives up after the timeout, says why, and leaves a process that can go on", () =>
    withScene(async (scene) => {
      const target = await scene.start([places(), "vfork", "FOLDER"]);
      await target.says("ready");
      const started = performance.now();
      await expect(whileFrozen(target.pid, () => {}, { timeoutMs: 200 })).rejects.toMatchObject({
        code: "FREEZE_TIMEOUT",
        message: `cannot stop process ${target.pid}: it did not stop within 200 ms`,
      });
      expect(performance.now() - started).toBeLessThan(2_000);
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    }));
});

test("everything that cannot be saved is named in one message, and the process is never touched", () =>
  withScene(async (scene) => {
    const script = [
      "import os,time",
      "p=os.pidfd_open(os.getpid()); n=os.open('/proc/self/ns/net',0)",
      "os.fork() or (os.close(1), time.sleep(1000))",
      "print('ready',flush=True)",
      "time.sleep(1000)",
    ].join("\n");
    const target = await scene.start(["python3", "-c", script]);
    await target.says("ready");
    for (const child of childrenOf(target.pid)) scene.adopt(child);
    const core = join(scene.folder, "core");
    const error = await checkpoint(target.pid, { output: core, tree: false }).catch((failure) => failure);
    expect(error.code).toBe("UNSUPPORTED_STATE");
    for (const part of [/child processes \(\d+\)/, /pidfd/, /net:\[\d+\]/]) {
      expect(error.message).toMatch(part);
    }
    const kinds = (error.data.refusals as { kind: string }[]).map(({ kind }) => kind);
    expect(new Set(kinds)).toEqual(new Set(["child", "descriptor"]));
    expect(runsFreely(target)).toBe(true);
  }));
