/** Who processes are, who holds a pid, who writes to a file: on real processes, groups, threads and zombies. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { formatDevice } from "../../src/host/device-number.js";
import { otherUsersOf, otherUsersOfAll } from "../../src/host/file-users.js";
import { describeHolder, whoHolds } from "../../src/host/process-holder.js";
import { isAlive, ownIdentity, processStatus, statusLine } from "../../src/host/process-status.js";
import { eventually } from "../harness/eventually.js";

const folder = mkdtempSync(join(tmpdir(), "recore-host-"));
afterAll(() => rmSync(folder, { recursive: true }));

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

/** Starts a program and gives its first line of output, by which it says that it is ready. */
async function start(
  command: string,
  ...args: string[]
): Promise<{ pid: number; child: ChildProcess; line: string }> {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  children.push(child);
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  await eventually(`${command} says ready`, () => output.includes("\n"));
  return { pid: child.pid ?? 0, child, line: output.trim() };
}

function python(script: string): ReturnType<typeof start> {
  return start("python3", "-u", "-c", script);
}

describe("process status", () => {
  test("reads names with blanks and brackets", async () => {
    const { pid } = await python(`
open("/proc/self/comm", "w").write("a) R (b")
print(); input()`);
    expect(processStatus(pid)).toMatchObject({ pid, comm: "a) R (b", state: "S", ppid: process.pid });
  });

  test("a process lives until its end, and a pid alone does not name it", async () => {
    const { pid, child } = await start("sh", "-c", "echo; read x");
    const startTicks = processStatus(pid)?.startTicks ?? 0n;
    expect(isAlive({ pid, startTicks })).toBe(true);
    expect(isAlive({ pid, startTicks: startTicks + 1n })).toBe(false);
    child.kill("SIGKILL");
    await eventually("it has ended", () => !isAlive({ pid, startTicks }));
  });

  test("a zombie has ended", async () => {
    const { line } = await python(`
import os, time
pid = os.fork()
if pid == 0: os._exit(0)
time.sleep(0.1); print(pid); input()`);
    const pid = Number(line);
    await eventually("it is a zombie", () => processStatus(pid)?.state === "Z");
    expect(isAlive({ pid, startTicks: processStatus(pid)?.startTicks ?? 0n })).toBe(false);
    expect(describeHolder(whoHolds(pid) ?? fail(pid))).toMatch(
      /, a zombie that its parent \d+ has not reaped$/,
    );
  });

  test("of the test itself", () => {
    expect(isAlive(ownIdentity())).toBe(true);
    expect(statusLine("self", "Tgid")).toBe(String(process.pid));
    expect(statusLine("self", "NoSuchLine")).toBeUndefined();
    expect(processStatus(0x7fff_fff0)).toBeUndefined();
  });
});

describe("whoHolds", () => {
  test("a process", async () => {
    const { pid } = await start("sh", "-c", "echo; read x # marked");
    const holder = whoHolds(pid) ?? fail(pid);
    expect(holder).toMatchObject({
      pid,
      as: "process",
      comm: "sh",
      user: "root",
      state: "S",
      ppid: process.pid,
    });
    expect(describeHolder(holder)).toBe(`process ${pid} (sh -c echo; read x # marked) of root`);
  });

  test("a thread of a process", async () => {
    const { pid, line } = await python(`
import threading
t = threading.Thread(target=threading.Event().wait, daemon=True); t.start()
print(t.native_id); input()`);
    expect(whoHolds(Number(line))).toMatchObject({ pid, as: "thread" });
  });

  test("a group and a session whose leader is gone", async () => {
    const { line } = await python(`
import os, time
group = os.fork()
if group == 0:
    os.setpgid(0, 0)
    if os.fork() == 0: time.sleep(60)
    os._exit(0)
session = os.fork()
if session == 0:
    os.setsid()
    if os.fork() == 0: os.setpgid(0, 0); time.sleep(60)
    os._exit(0)
os.waitpid(group, 0); os.waitpid(session, 0)
print(group, session); input()`);
    const [group = 0, session = 0] = line.split(" ").map(Number);
    const members = [whoHolds(group), whoHolds(session)];
    expect(members).toEqual([
      expect.objectContaining({ as: "group" }),
      expect.objectContaining({ as: "session" }),
    ]);
    expect(describeHolder(members[0] ?? fail(group))).toMatch(
      /^a group of process \d+ \(.*python3 -u -c import os.*…\) of root$/,
    );
    for (const member of members) process.kill(member?.pid ?? fail(0), "SIGKILL");
    await eventually("both numbers are free", () => !whoHolds(group) && !whoHolds(session));
  });
});

describe("users of a file", () => {
  const path = join(folder, "shared");
  writeFileSync(path, "x".repeat(4096));
  const stats = statSync(path, { bigint: true });
  const file = { dev: formatDevice(stats.dev), ino: stats.ino };

  test("writers and shared writable mappings count, readers and private mappings do not", async () => {
    const open = (mode: string, more = "") =>
      python(`import mmap\nf = open(${JSON.stringify(path)}, "${mode}")\n${more}\nprint(); input()`);
    const writer = await open("a");
    const mapper = await open("r+b", "m = mmap.mmap(f.fileno(), 0)\nf.close()");
    await open("r");
    await open("rb", "m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY)\nf.close()");
    const users = [...otherUsersOf(file, [])].sort((a, b) => a.pid - b.pid);
    expect(users).toMatchObject([
      { pid: writer.pid, how: "write", comm: expect.stringMatching(/^python/) },
      // Python keeps a duplicate of the descriptor with the mapping: open for writing is what is told.
      { pid: mapper.pid, how: "write" },
    ]);
    expect(otherUsersOf(file, [writer.pid, mapper.pid])).toEqual([]);
  });

  test("a mapping counts when no descriptor is left", async () => {
    const { pid } = await python(`
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
fd = os.open(${JSON.stringify(path)}, os.O_RDWR)
assert libc.mmap(None, ctypes.c_size_t(4096), 3, 1, fd, ctypes.c_long(0)) != ctypes.c_void_p(-1).value
os.close(fd)
print(); input()`);
    expect(otherUsersOf(file, [])).toEqual([
      { pid, comm: expect.stringMatching(/^python/), how: "shared-map", file },
    ]);
  });

  test("many files are looked for in one pass", async () => {
    const second = join(folder, "second");
    writeFileSync(second, "");
    const { dev, ino } = statSync(second, { bigint: true });
    const { pid } = await python(`f = open(${JSON.stringify(second)}, "w"); print(); input()`);
    const files = [file, { dev: formatDevice(dev), ino }];
    expect(otherUsersOfAll(files, [])).toMatchObject([{ pid, how: "write", file: files[1] }]);
    expect(otherUsersOfAll([], [])).toEqual([]);
  });
});

function fail(pid: number): never {
  throw new Error(`nothing holds ${pid}`);
}
