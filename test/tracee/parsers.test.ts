/** What /proc prints and what the kernel returns, with the odd cases that real machines have. */
import { describe, expect, test } from "vitest";
import { decodeAuxv } from "../../src/state/auxv.js";
import { parseFdinfo } from "../../src/tracee/descriptors.js";
import { parseLimits } from "../../src/tracee/limits.js";
import { credentialsOf, parseStat } from "../../src/tracee/proc-status.js";
import { decodeStatus } from "../../src/tracee/stop.js";
import { cpusOf, maskOf } from "../../src/tracee/thread.js";

/** A line of /proc/PID/stat with a number in every field from 4 on that is ten times its own. */
function statLine(comm: string): string {
  const fields = Array.from({ length: 49 }, (_, index) => String((index + 4) * 10));
  return `77 (${comm}) S ${fields.join(" ")}\n`;
}

describe("parseStat", () => {
  test.each(["cat", "a) b (", "(", ")", ") R 1 2 3", "a b", "\n", ""])("finds the name %j", (comm) => {
    const stat = parseStat(statLine(comm));
    expect(stat).toMatchObject({ comm, state: "S", ppid: 40, pgid: 50, sid: 60, flags: 90, threads: 200 });
    expect(stat.startTicks).toBe(220n);
    expect(stat.mm).toEqual({
      startCode: 260n,
      endCode: 270n,
      startStack: 280n,
      startData: 450n,
      endData: 460n,
      startBrk: 470n,
      argStart: 480n,
      argEnd: 490n,
      envStart: 500n,
      envEnd: 510n,
    });
  });
});

test("credentialsOf reads ids, groups and 64-bit capability masks", () => {
  const status = new Map([
    ["Uid", "1\t2\t3\t4"],
    ["Gid", "5\t6\t7\t8"],
    ["Groups", "24 25 "],
    ["CapPrm", "000001ffffffffff"],
    ["CapEff", "8000000000000001"],
  ]);
  expect(credentialsOf(status, 3)).toEqual({
    uid: { real: 1, effective: 2, saved: 3, fs: 4 },
    gid: { real: 5, effective: 6, saved: 7, fs: 8 },
    groups: [24, 25],
    capabilities: {
      inheritable: 0n,
      permitted: 0x1ff_ffff_ffffn,
      effective: 0x8000_0000_0000_0001n,
      bounding: 0n,
      ambient: 0n,
    },
    securebits: 3,
  });
});

test("parseLimits reads numbers and unlimited, and leaves headings and unknown names out", () => {
  const text = [
    "Limit                     Soft Limit           Hard Limit           Units     ",
    "Max cpu time              unlimited            unlimited            seconds   ",
    "Max open files            1024                 1048576              files     ",
    "Max realtime timeout      unlimited            7                    us        ",
    "Max of the future         1                    2                    things    ",
    "",
  ].join("\n");
  const unlimited = 2n ** 64n - 1n;
  expect(parseLimits(text)).toEqual([
    { resource: 0, soft: unlimited, hard: unlimited },
    { resource: 7, soft: 1024n, hard: 1_048_576n },
    { resource: 15, soft: unlimited, hard: 7n },
  ]);
});

test("parseFdinfo reads octal flags, takes close-on-exec out, and counts locks", () => {
  const text = [
    "pos:\t18446744073709551615",
    "flags:\t02100002",
    "mnt_id:\t29",
    "lock:\t1: POSIX  ADVISORY  WRITE 7 00:1f:3 0 EOF",
    "lock:\t2: FLOCK  ADVISORY  WRITE 7 00:1f:3 0 EOF",
  ].join("\n");
  const read = { flags: 0o100002, cloexec: true, position: 2n ** 64n - 1n, locks: 2 };
  expect(parseFdinfo(text)).toMatchObject(read);
  const plain = { flags: 0, cloexec: false, position: 0n, locks: 0 };
  expect(parseFdinfo("pos:\t0\nflags:\t00\n")).toMatchObject(plain);
});

test("decodeAuxv stops at the null entry and ignores half a pair", () => {
  const words = Buffer.alloc(56);
  for (const [index, word] of [6n, 4096n, 33n, 2n ** 64n - 4096n, 0n, 0n, 9n].entries()) {
    words.writeBigUInt64LE(word, index * 8);
  }
  expect([...decodeAuxv(words)]).toEqual([
    [6, 4096n],
    [33, 2n ** 64n - 4096n],
  ]);
  expect(decodeAuxv(Buffer.alloc(0)).size).toBe(0);
  expect([...decodeAuxv(words.subarray(0, 24))]).toEqual([[6, 4096n]]);
});

describe("decodeStatus", () => {
  test.each([
    ["exit 0", 0, { kind: "exited", status: 0 }],
    ["exit 255", 0xff00, { kind: "exited", status: 255 }],
    ["death by SIGKILL", 9, { kind: "signaled", signal: 9, dumped: false }],
    ["death by SIGSEGV with a core", 0x8b, { kind: "signaled", signal: 11, dumped: true }],
    ["a signal about to be delivered", 0x0a7f, { kind: "stopped", signal: 10 }],
    ["a breakpoint", 0x057f, { kind: "stopped", signal: 5 }],
    ["a system call", 0x857f, { kind: "syscall" }],
    ["our interrupt", 0x80057f, { kind: "event", event: 128, signal: 5, interrupt: true }],
    ["a group-stop by SIGSTOP", 0x80137f, { kind: "event", event: 128, signal: 19, interrupt: false }],
    ["exec", 0x4057f, { kind: "event", event: 4, signal: 5, interrupt: false }],
    ["continued", 0xffff, { kind: "continued" }],
  ] as const)("%s", (_what, status, stop) => {
    expect(decodeStatus(status)).toEqual(stop);
  });
});

describe("affinity masks", () => {
  test.each([[[0]], [[7, 8]], [[0, 63]], [[64]], [[3, 1023]]])("of CPUs %j and back", (cpus) => {
    const mask = maskOf(cpus);
    expect(mask.length % 8).toBe(0);
    expect(cpusOf(mask)).toEqual(cpus);
  });

  test("are as short as they can be", () => {
    expect([maskOf([]), maskOf([63]), maskOf([64])].map(({ length }) => length)).toEqual([8, 8, 16]);
    expect(maskOf([9])).toEqual(Buffer.from([0, 2, 0, 0, 0, 0, 0, 0]));
  });
});
