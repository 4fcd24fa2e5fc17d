/** What becomes of a vdso that is not this kernel's: planned from its bytes, which nobody vouches for. */
import { describe, expect, test } from "vitest";
import { vdsoFunctions } from "../../src/core/vdso-image.js";
import { placeAbove, planForeignVdso } from "../../src/restore/vdso.js";
import type { ProcessState } from "../../src/state/process.js";
import { withRegisters } from "../../src/state/registers.js";
import { ownVdso } from "../../src/tracee/vdso.js";
import { vma } from "../core/sample-core.js";
import { message } from "./failure.js";
import { processState, threadState } from "./process-state.js";

const BASE = 0x7000_0000_0000n;
const STACK = 0x7fff_0000_0000n;
const RESTORER = 0x40_2000n;
const own = ownVdso();
if (own === null) throw new Error("this kernel has no vdso");
const { image } = own;

const stack = Buffer.alloc(8192);
const memory = (address: bigint, lengthBytes: number) => {
  if (address === BASE) return image;
  const at = Number(address - STACK);
  return at >= 0 && at + lengthBytes <= stack.length ? stack.subarray(at, at + lengthBytes) : null;
};

function recorded(changes: Partial<ProcessState> = {}): ProcessState {
  const vdso = vma(BASE, image.length / 4096, { kind: "special", path: "[vdso]", prot: "r-xp" });
  const data = vma(BASE - 4096n, 1, { kind: "special", path: "[vvar]", prot: "r--p" });
  return processState({
    host: { ...processState().host, kernel: "5.4.0", vdsoCrc32c: (own?.crc32c ?? 0) ^ 1 },
    vmas: [data, vdso, vma(STACK, 2)],
    ...changes,
  });
}

describe("planForeignVdso()", () => {
  test("leads every function to the one of the same name, and keeps the pages as memory", () => {
    const plan = planForeignVdso(recorded(), { own, memory });
    const functions = vdsoFunctions(image) ?? [];
    expect(functions.flatMap(({ names }) => names)).toContain("__vdso_clock_gettime");
    expect(plan?.detours.map(({ at, offset }) => [at, offset])).toEqual(
      functions.map(({ offset }) => [BASE + BigInt(offset), offset]),
    );
    expect(plan?.vmas.map(({ kind, path }) => [kind, path])).toEqual([
      ["anonymous", ""],
      ["anonymous", ""],
    ]);
  });

  test("calls the kernel where it has no vdso", () => {
    const plan = planForeignVdso(recorded(), { own: null, memory });
    const numbers = plan?.detours.map(({ syscall }) => syscall);
    expect(plan?.detours.every(({ offset }) => offset === null)).toBe(true);
    expect(numbers).toEqual(expect.arrayContaining([228, 96, 201, 309]));
  });

  test("has nothing to do for this kernel's own, or for a program without one", () => {
    const delta = BASE - (own.mappings.find(({ path }) => path === "[vdso]")?.start ?? 0n);
    const same = own.mappings.map(({ path, start, end }) =>
      vma(start + delta, Number(end - start) / 4096, { path, kind: "special" }),
    );
    const host = { ...recorded().host, vdsoCrc32c: own.crc32c };
    expect(planForeignVdso(recorded({ host, vmas: same }), { own, memory })).toBeNull();
    expect(planForeignVdso(recorded({ vmas: [vma(STACK, 2)] }), { own, memory })).toBeNull();
    // The same bytes, but the data pages lie elsewhere.
    expect(planForeignVdso(recorded({ host }), { own, memory })).not.toBeNull();
  });

  test("refuses a thread inside a function, or in a handler that interrupted one", () => {
    const at = (registers: { rip?: bigint; rsp?: bigint }) =>
      recorded({
        threads: [threadState({ registers: withRegisters(Buffer.alloc(216), registers) })],
        signals: {
          actions: [{ signal: 2, handler: 1n, flags: 4n, restorer: RESTORER, mask: 0n }],
          pending: [],
        },
      });
    const refused = (state: ProcessState) => message(() => planForeignVdso(state, { own, memory }));
    expect(refused(at({ rip: BASE + 0x800n }))).toMatch(/VDSO_MISMATCH.*stood inside it.*0x7000/);
    const frame = 4096 - 16;
    stack.writeBigUInt64LE(RESTORER, frame);
    stack.writeBigUInt64LE(BASE + 0x900n, frame + 176);
    expect(refused(at({ rsp: STACK + 8n }))).toMatch(/VDSO_MISMATCH.*signal handler of thread/);
    // Behind the stack pointer nothing is looked at, and a frame elsewhere does no harm.
    expect(planForeignVdso(at({ rsp: STACK + BigInt(frame) + 8n }), { own, memory })).not.toBeNull();
    stack.writeBigUInt64LE(1n, frame + 176);
    expect(planForeignVdso(at({ rsp: STACK + 8n }), { own, memory })).not.toBeNull();
  });
});

test("bytes that are no vdso have no functions", () => {
  expect(vdsoFunctions(Buffer.alloc(64))).toBeNull();
  expect(vdsoFunctions(image.subarray(0, 100))).toBeNull();
  for (const at of [40, 60]) {
    const broken = Buffer.from(image);
    broken.writeUInt16LE(0xffff, at);
    expect(vdsoFunctions(broken)).toBeNull();
  }
});

test("this kernel's pages go right above the recorded ones, unless something is there", () => {
  const recordedAt = { start: BASE, end: BASE + 8192n };
  expect(placeAbove([vma(BASE, 2)], recordedAt, 0x8000n)).toBe(BASE + 0x3000n);
  expect(placeAbove([vma(BASE, 2), vma(BASE + 0x8000n, 1)], recordedAt, 0x8000n)).toBeNull();
});
