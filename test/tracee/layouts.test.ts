/** TypeScript and C agree on every struct of native/cr.h: sizes and offsets as the compiler laid them out. */
import { expect, test } from "vitest";
import { REGISTERS_BYTES } from "../../src/state/registers.js";
import { FRAME_LAYOUT } from "../../src/tracee/frames.js";
import { call, packRanges } from "../../src/tracee/native.js";
import { BATCH_LAYOUT, CALL_BYTES, SITE_LAYOUT } from "../../src/tracee/remote.js";
import { SCHED_LAYOUT, THREAD_LAYOUT } from "../../src/tracee/thread.js";

/** The rows of cr_layouts (native/layouts.c), in its order. */
const EXPECTED: readonly (readonly [string, number])[] = [
  ["cr_range", 24],
  ["cr_call", CALL_BYTES],
  ["cr_call.args", 8],
  ["cr_call.result", 56],
  ["cr_site", SITE_LAYOUT.bytes],
  ["cr_site.chain", SITE_LAYOUT.chain],
  ["cr_site.chain_len", SITE_LAYOUT.chainLength],
  ["cr_site.stop_signal", SITE_LAYOUT.stopSignal],
  ["cr_site.place", SITE_LAYOUT.place],
  ["cr_site.place_len", SITE_LAYOUT.placeLength],
  ["cr_site.orphan", SITE_LAYOUT.orphan],
  ["cr_site.options", SITE_LAYOUT.options],
  ["cr_site.keeps", SITE_LAYOUT.keeps],
  ["cr_site.wait_at", SITE_LAYOUT.waitAt],
  ["cr_batch", BATCH_LAYOUT.bytes],
  ["cr_batch.tid", BATCH_LAYOUT.tid],
  ["cr_batch.call_count", BATCH_LAYOUT.callCount],
  ["cr_batch.scratch_len", BATCH_LAYOUT.scratchLength],
  ["cr_batch.result", BATCH_LAYOUT.result],
  ["cr_thread", THREAD_LAYOUT.bytes],
  ["cr_thread.fpregs", THREAD_LAYOUT.fpregs],
  ["cr_thread.xstate", THREAD_LAYOUT.xstate],
  ["cr_thread.xstate_len", THREAD_LAYOUT.xstateLength],
  ["cr_thread.sigmask", THREAD_LAYOUT.sigmask],
  ["cr_thread.rseq_addr", THREAD_LAYOUT.rseqAddress],
  ["cr_thread.rseq_size", THREAD_LAYOUT.rseqSize],
  ["cr_thread.robust_head", THREAD_LAYOUT.robustHead],
  ["cr_sched", SCHED_LAYOUT.bytes],
  ["cr_sched.flags", SCHED_LAYOUT.flags],
  ["cr_sched.priority", SCHED_LAYOUT.priority],
  ["cr_sched.runtime", SCHED_LAYOUT.runtime],
  ["cr_sched.affinity_len", SCHED_LAYOUT.affinityLength],
  ["cr_sched.affinity", SCHED_LAYOUT.affinity],
  ["cr_held", 8],
  ["cr_pages", 24],
  ["cr_frame", FRAME_LAYOUT.bytes],
  ["cr_frame.crc", FRAME_LAYOUT.crc32c],
];

test("every size and offset is the compiler's", () => {
  const out = Buffer.alloc(4096);
  const count = call("cr_layouts", out, out.length);
  const rows = Array.from({ length: count }, (_, index) => [
    EXPECTED[index]?.[0] ?? `row ${index}`,
    out.readUInt32LE(index * 4),
  ]);
  expect(rows).toEqual(EXPECTED);
});

test("a buffer that is too small is refused, not overrun", () => {
  expect(() => call("cr_layouts", Buffer.alloc(8), 8)).toThrow(/EINVAL/);
});

test("the regset in front of a thread ends where the floating-point registers begin", () => {
  expect(REGISTERS_BYTES).toBe(216);
  expect(THREAD_LAYOUT.fpregs).toBe(REGISTERS_BYTES);
  expect(THREAD_LAYOUT.xstate).toBe(THREAD_LAYOUT.fpregs + THREAD_LAYOUT.fpregsBytes);
});

test("ranges are packed as address, length, offset", () => {
  const packed = packRanges([
    { address: 0x7fff_0000_1000n, lengthBytes: 4096, fileOffset: 8192 },
    { address: 1n, lengthBytes: 2, fileOffset: 2 ** 40 },
  ]);
  const words = Array.from({ length: 6 }, (_, index) => packed.readBigUInt64LE(index * 8));
  expect(words).toEqual([0x7fff_0000_1000n, 4096n, 8192n, 1n, 2n, 2n ** 40n]);
});
