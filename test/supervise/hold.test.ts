/** Holding processes: who is refused, and that an end is seen. */
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { ownIdentity, processStatus } from "../../src/host/process-status.js";
import { holdProcess } from "../../src/supervise/hold.js";
import { eventually } from "../harness/eventually.js";

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

test("a held process is alive until it ends, zombie or not", async () => {
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  const pid = child.pid ?? 0;
  using held = holdProcess({ pid, startTicks: processStatus(pid)?.startTicks ?? 0n });
  expect(held.alive()).toBe(true);
  child.kill("SIGKILL");
  await eventually("its end is seen", () => !held.alive());
});

test("no process, a thread, and a process of another start time are refused; no descriptor is left", () => {
  const self = ownIdentity();
  const thread =
    readdirSync("/proc/self/task")
      .map(Number)
      .find((tid) => tid !== self.pid) ?? 0;
  holdProcess(self)[Symbol.dispose]();
  const before = descriptors();
  for (const identity of [
    { pid: 0x7fff_fff0, startTicks: 1n },
    { pid: self.pid, startTicks: self.startTicks + 1n },
    { pid: thread, startTicks: processStatus(thread)?.startTicks ?? 0n },
  ]) {
    expect(() => holdProcess(identity)).toThrow(expect.objectContaining({ code: "NO_SUCH_PROCESS" }));
  }
  expect(descriptors()).toBe(before);
});
