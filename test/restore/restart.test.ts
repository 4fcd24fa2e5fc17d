/** A call in progress, as a new process finds it: restarted by the kernel, sleeps with the time that was left. */
import { describe, expect, test } from "vitest";
import { restartable } from "../../src/restore/restart.js";
import { REGISTERS_BYTES, withRegisters } from "../../src/state/registers.js";

const RESTARTBLOCK = -516n;
const RESTARTNOHAND = -514n;
const inCall = (changes: Parameters<typeof withRegisters>[1]) =>
  withRegisters(Buffer.alloc(REGISTERS_BYTES, 1), { rax: RESTARTBLOCK, ...changes });

describe("restartable", () => {
  test.each([0n, -4n, -512n, -513n, -514n, 35n])("leaves other results alone (%s)", (rax) => {
    const registers = inCall({ rax, orig_rax: 35n });
    expect(restartable(registers)).toEqual(registers);
  });

  test.each([
    ["poll", { orig_rax: 7n }, {}],
    ["futex", { orig_rax: 202n }, {}],
    ["nanosleep with a place for the rest", { orig_rax: 35n, rdi: 100n, rsi: 200n }, { rdi: 200n }],
    ["nanosleep without", { orig_rax: 35n, rdi: 100n, rsi: 0n }, {}],
    ["clock_nanosleep, relative", { orig_rax: 230n, rsi: 0n, rdx: 100n, r10: 200n }, { rdx: 200n }],
    ["clock_nanosleep, relative, without a place", { orig_rax: 230n, rsi: 0n, rdx: 100n, r10: 0n }, {}],
    ["clock_nanosleep, absolute", { orig_rax: 230n, rsi: 1n, rdx: 100n, r10: 200n }, {}],
  ])("%s", (_what, call, left) => {
    const registers = inCall(call);
    const before = Buffer.from(registers);
    expect(restartable(registers)).toEqual(withRegisters(registers, { rax: RESTARTNOHAND, ...left }));
    expect(registers).toEqual(before);
  });
});
