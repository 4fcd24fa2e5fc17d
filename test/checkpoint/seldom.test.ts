/** What few programs have: what the answers of the kernel mean, and what is not asked for fear of a filter. */
import { expect, test } from "vitest";
import {
  decodeSeldom,
  refusedOfThread,
  seldomCalls,
  seldomThreadCalls,
} from "../../src/checkpoint/seldom.js";
import { SECCOMP } from "../../src/state/seccomp.js";
import { cpuComponents } from "../../src/tracee/native.js";

const KEYCTL = 250;
const TILE_DATA = 1n << 18n;
const ENOKEY = -126n;
const NOTHING = { permitted: 0n, refusals: [], softErrors: [] };

/** A filter that kills for keyctl and allows the rest: load the number, compare, answer. */
function killsKeyctl(): Buffer {
  const code: readonly (readonly number[])[] = [
    [0x20, 0, 0, 0],
    [0x15, 0, 1, KEYCTL],
    [0x06, 0, 0, SECCOMP.killProcess],
    [0x06, 0, 0, SECCOMP.allow],
  ];
  return Buffer.concat(
    code.map(([op = 0, yes = 0, no = 0, k = 0]) => {
      const bytes = Buffer.from([op & 0xff, op >> 8, yes, no, 0, 0, 0, 0]);
      bytes.writeUInt32LE(k, 4);
      return bytes;
    }),
  );
}

function scratchWith(permitted: bigint): Buffer {
  const scratch = Buffer.alloc(16);
  scratch.writeBigUInt64LE(permitted, 8);
  return scratch;
}

test("most programs have nothing of it, and on a kernel without these calls none has", () => {
  expect(decodeSeldom([0n, ENOKEY, 1n, 0n], scratchWith(0xe7n), [])).toEqual(NOTHING);
  expect(decodeSeldom([-38n, -38n, -22n, -22n], scratchWith(TILE_DATA), [])).toEqual(NOTHING);
  expect(refusedOfThread(7, [ENOKEY])).toEqual([]);
});

test("the permission to use tile registers is kept, the rest is refused by name", () => {
  const { permitted, refusals } = decodeSeldom([8n, 1234n, 0n, 0n], scratchWith(0x602e7n), []);
  expect(permitted).toBe(TILE_DATA);
  expect(refusals.map(({ what }) => what).join()).toMatch(/modify_ldt.*KEY_SPEC_PROCESS_KEYRING.*CPUID/);
  expect(refusedOfThread(7, [5n])).toMatchObject([{ kind: "thread", id: "tid:7" }]);
});

test("what a filter would kill for is not asked, and told", () => {
  const filters = [killsKeyctl()];
  const names = [...seldomCalls(0n, filters), ...seldomThreadCalls(filters)].map(({ name }) => name);
  // Whether it may use tile registers is asked where the CPU has some.
  const tiles = (cpuComponents() & TILE_DATA) === 0n ? [] : ["arch_prctl"];
  expect(names).toEqual(["modify_ldt", "prctl", "arch_prctl", ...tiles, "prctl"]);
  const { softErrors, refusals } = decodeSeldom([0n, -22n, 1n, 0n], scratchWith(0n), filters);
  expect(refusals).toEqual([]);
  expect(softErrors.map(({ message }) => message)).toEqual([
    expect.stringMatching(/KEY_SPEC_PROCESS_KEYRING.*not asked/),
    expect.stringMatching(/KEY_SPEC_THREAD_KEYRING.*not asked/),
  ]);
});
