/** Parsers of what the kernel tells about objects behind descriptors, with lines as Linux 6.18 prints them. */
import { expect, test } from "vitest";
import { describeAddress } from "../../src/state/socket-address.js";
import {
  epollWatches,
  eventfdInfo,
  inotifyWatches,
  locksOf,
  passedDescriptors,
  signalfdMask,
  timerfdInfo,
} from "../../src/tracee/fdinfo.js";
import { ownCall, tryOwnCall } from "../../src/tracee/own-call.js";
import { procPathFor } from "../../src/tracee/proc-path.js";
import { parseUnixDiag } from "../../src/tracee/unix-diag.js";

test("epollWatches reads hexadecimal events and data", () => {
  const text = "tfd:       11 events: 80000019 data: ffffffff0000000b  pos:0 ino:b09d2 sdev:f\n";
  const watch = { fd: 11, events: 0x80000019, data: 0xffffffff0000000bn, ino: 0xb09d2n };
  expect(epollWatches(text)).toEqual([watch]);
  expect(epollWatches("pos:\t0\n")).toEqual([]);
});

test("eventfdInfo reads a hexadecimal count", () => {
  const text = "eventfd-count: fffffffffffffffe\neventfd-id: 37\neventfd-semaphore: 1\n";
  expect(eventfdInfo(text)).toEqual({ count: 0xffff_ffff_ffff_fffen, semaphore: true });
  expect(eventfdInfo("eventfd-count:                5\n")).toEqual({ count: 5n, semaphore: false });
});

test("timerfdInfo reads octal flags and times", () => {
  const text =
    "clockid: 1\nticks: 3\nsettime flags: 03\nit_value: (9, 000000007)\nit_interval: (1, 500000000)\n";
  const timer = { clock: 1, ticks: 3n, flags: 3, valueNs: 9_000_000_007n, intervalNs: 1_500_000_000n };
  expect(timerfdInfo(text)).toEqual(timer);
});

test("signalfdMask and passedDescriptors read their lines", () => {
  expect(signalfdMask("sigmask:\t0000001000000200\n")).toBe(0x1000000200n);
  expect(passedDescriptors("scm_fds: 2\n")).toBe(2);
  expect(passedDescriptors("pos:\t0\n")).toBe(0);
});

test("inotifyWatches sorts by watch descriptor and divides the device number", () => {
  const line = (wd: string, ino: string) =>
    `inotify wd:${wd} ino:${ino} sdev:fe00001 mask:84000fff ignored_mask:0 fhandle-bytes:8 fhandle-type:1 f_handle:e8f7030000000000`;
  const watches = inotifyWatches(`${line("a", "3f7e8")}\n${line("1", "2")}\n`);
  expect(watches.map(({ wd, ino }) => [wd, ino])).toEqual([
    [1, 2n],
    [10, 0x3f7e8n],
  ]);
  expect(watches[0]).toMatchObject({ dev: "254:1", mask: 0x84000fff, handleType: 1 });
  expect(watches[0]?.handle.toString("hex")).toBe("e8f7030000000000");
});

test("locksOf tells the kinds apart, and one that is being broken", () => {
  const text = [
    "lock:\t1: FLOCK  ADVISORY  WRITE 27992 fe:00:2148832 0 EOF",
    "lock:\t2: POSIX  ADVISORY  READ 27992 fe:00:2148832 5 14",
    "lock:\t3: OFDLCK ADVISORY  WRITE -1 fe:00:2148832 0 0",
    "lock:\t4: LEASE  ACTIVE    READ 7 fe:00:2148832 0 EOF",
    "lock:\t5: LEASE  BREAKING  READ 7 fe:00:2148832 0 EOF",
  ].join("\n");
  expect(locksOf(text)).toEqual([
    { how: "flock", type: "write", start: 0n, end: null },
    { how: "posix", type: "read", start: 5n, end: 15n },
    { how: "ofd", type: "write", start: 0n, end: 1n },
    { how: "lease", type: "read", start: 0n, end: null },
    { how: "other", type: "read", start: 0n, end: null },
  ]);
});

test("parseUnixDiag reads the other end, and nothing of an answer cut short", () => {
  const answer = Buffer.alloc(16 + 16 + 8 + 8);
  answer.writeUInt32LE(answer.length, 0);
  answer.writeUInt16LE(20, 4);
  answer.writeUInt8(1, 18);
  answer.set([8, 0, 2, 0, 0x39, 0x30, 0, 0, 5, 0, 6, 0, 3, 0, 0, 0], 32);
  expect(parseUnixDiag(answer)).toMatchObject({ state: 1, peer: 12345n, file: null, shutdown: 3 });
  expect(parseUnixDiag(answer.subarray(0, 20))).toBeNull();
});

test("describeAddress names addresses as people do", () => {
  expect(describeAddress(Buffer.from("0200 1f90 7f000001".replaceAll(" ", ""), "hex"))).toBe(
    "127.0.0.1:8080",
  );
  expect(describeAddress(Buffer.from("\x01\0/run/x\0\0", "latin1"))).toBe("/run/x");
  expect(describeAddress(Buffer.from("\x01\0\0name", "latin1"))).toBe("@name");
  const loopback = Buffer.alloc(28);
  loopback.set([10, 0, 0, 80]);
  loopback.writeUInt8(1, 23);
  expect(describeAddress(loopback)).toBe("[0:0:0:0:0:0:0:1]:80");
});

test("procPathFor follows a process to another pid, and no other path", () => {
  expect(procPathFor("/proc/12/task/12/stat", 12, 40)).toBe("/proc/40/task/40/stat");
  expect(procPathFor("/proc/123/maps", 12, 40)).toBe("/proc/123/maps");
  expect(procPathFor("/proc/stat", 12, 40)).toBe("/proc/stat");
});

test("ownCall fills buffers and names what failed", () => {
  const ends = Buffer.alloc(8);
  ownCall("socketpair", 1, 1 | 0o2000000, 0, ends);
  const [one, other] = [ends.readInt32LE(0), ends.readInt32LE(4)];
  ownCall("sendto", one, Buffer.from("text"), 4, 0, 0, 0);
  const got = Buffer.alloc(16);
  expect(ownCall("recvfrom", other, got, 16, 0, 0, 0)).toBe(4);
  expect(got.toString("latin1", 0, 4)).toBe("text");
  expect(tryOwnCall("fcntl", -1, 1, 0)).toBe(-9);
  expect(() => ownCall("fcntl", -1, 1, 0)).toThrow(/EBADF/);
});
