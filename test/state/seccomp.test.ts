/** What a seccomp filter answers to a call, as far as that can be known beforehand. */
import { expect, test } from "vitest";
import { mayNotify, SECCOMP, seccompAction } from "../../src/state/seccomp.js";

type Instruction = readonly [code: number, yes: number, no: number, k: number];

function program(...code: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(code.length * 8);
  code.forEach(([op, yes, no, k], index) => {
    bytes.writeUInt16LE(op, index * 8);
    bytes.writeUInt8(yes, index * 8 + 2);
    bytes.writeUInt8(no, index * 8 + 3);
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4);
  });
  return bytes;
}

const LOAD_CALL: Instruction = [0x20, 0, 0, 0];
const LOAD_ARCH: Instruction = [0x20, 0, 0, 4];
const LOAD_ARGUMENT: Instruction = [0x20, 0, 0, 16];
const answer = (action: number): Instruction => [0x06, 0, 0, action];

test("follows jumps on number and architecture", () => {
  const filter = program(
    LOAD_ARCH,
    [0x15, 1, 0, 0xc000003e],
    answer(SECCOMP.killProcess),
    LOAD_CALL,
    [0x35, 2, 0, 0x4000_0000],
    [0x15, 1, 0, 83],
    answer(SECCOMP.allow),
    answer(SECCOMP.errno | 5),
  );
  expect(seccompAction(filter, 83)).toBe(SECCOMP.errno);
  expect(seccompAction(filter, 15)).toBe(SECCOMP.allow);
  expect(seccompAction(filter, 0x4000_0001)).toBe(SECCOMP.errno);
});

test("does not know what depends on arguments, nor what has no end", () => {
  const filter = program(
    LOAD_CALL,
    [0x15, 0, 3, 157],
    LOAD_ARGUMENT,
    [0x15, 0, 1, 4],
    answer(SECCOMP.trap),
    answer(SECCOMP.allow),
  );
  expect(seccompAction(filter, 157)).toBeNull();
  expect(seccompAction(filter, 1)).toBe(SECCOMP.allow);
  expect(seccompAction(program(LOAD_CALL), 1)).toBeNull();
  expect(seccompAction(program([0x05, 0, 0, 9]), 1)).toBeNull();
});

test("masks and keeps values as filters of libraries do", () => {
  const filter = program(
    LOAD_CALL,
    [0x02, 0, 0, 3],
    [0x54, 0, 0, 0xf0],
    [0x07, 0, 0, 0],
    [0x60, 0, 0, 3],
    [0x87, 0, 0, 0],
    [0x15, 0, 1, 0x50],
    answer(SECCOMP.log),
    answer(SECCOMP.killProcess),
  );
  expect(seccompAction(filter, 0x5a)).toBe(SECCOMP.log);
  expect(seccompAction(filter, 0x6a)).toBe(SECCOMP.killProcess);
});

test("finds filters that hand calls on, or return what they computed", () => {
  expect(mayNotify(program(answer(SECCOMP.allow)))).toBe(false);
  expect(mayNotify(program(answer(SECCOMP.notify)))).toBe(true);
  expect(mayNotify(program([0x16, 0, 0, 0]))).toBe(true);
});
