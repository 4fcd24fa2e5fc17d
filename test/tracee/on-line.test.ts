/** Servers that are nobody's child: what they are started with, and that cr is left with no child and no descriptor more. */
import { closeSync, openSync, readdirSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startQuickly } from "../../src/tracee/on-line.js";
import { withScene } from "../harness/scene.js";

/** All that comes out of our end of a line. */
function readLine(line: number): string {
  const [bytes, parts] = [Buffer.alloc(4096), [] as string[]];
  for (let got = 1; got > 0; ) {
    got = readSync(line, bytes, 0, bytes.length, null);
    parts.push(bytes.toString("utf8", 0, got));
  }
  closeSync(line);
  return parts.join("");
}

const children = () =>
  readdirSync("/proc/self/task").map((tid) => readFileSync(`/proc/self/task/${tid}/children`, "utf8"));

test("a server has its line and descriptors, a session of its own, and is nobody's child", async () => {
  await withScene(async ({ folder }) => {
    const [script, data] = [join(folder, "script"), join(folder, "data")];
    writeFileSync(data, "what it is to serve");
    writeFileSync(
      script,
      'cat <&3 >&0; echo " $(pwd) $(readlink /proc/$$/fd/1) $(cut -d" " -f4,6 /proc/$$/stat) $$" >&0\n',
    );
    const fd = openSync(data, "r");
    const [before, open] = [children(), readdirSync("/proc/self/fd").length];
    const line = startQuickly("/bin/sh", script, [fd]);
    const [, parent, session, pid] =
      /^what it is to serve \/ \/dev\/null (\d+) (\d+) (\d+)\n$/.exec(readLine(line)) ?? [];
    expect(session).toBe(pid);
    expect(Number(parent)).not.toBe(process.pid);
    expect(children()).toEqual(before);
    expect(readdirSync("/proc/self/fd").length).toBe(open);
    closeSync(fd);
  });
});

test("one that cannot be started ends its line at once", () => {
  expect(readLine(startQuickly("/nowhere/server", "x", []))).toBe("");
});

test("more descriptors than a server can get are refused", () => {
  const open = readdirSync("/proc/self/fd").length;
  expect(() => startQuickly("/bin/sh", "x", Array(18).fill(0))).toThrow("EINVAL");
  expect(readdirSync("/proc/self/fd").length).toBe(open);
});
