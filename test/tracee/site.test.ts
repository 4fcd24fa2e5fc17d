/** Where remote calls can run: instructions found in every kind of program, and memory that is nobody's. */
import { describe, expect, test } from "vitest";
import { getRegister, REGISTERS_BYTES, withRegisters } from "../../src/state/registers.js";
import type { Vma } from "../../src/state/vma.js";
import { readMappings } from "../../src/tracee/maps.js";
import { readMemory } from "../../src/tracee/memory.js";
import {
  findGadgets,
  findPlace,
  findSyscall,
  lowestOnStack,
  orphanRegisters,
  placeBytesFor,
  stillThere,
} from "../../src/tracee/site.js";
import { readThread } from "../../src/tracee/thread.js";
import { Tracee } from "../../src/tracee/tracee.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { buildProgram } from "./build.js";

const places = buildProgram("places");

describe("findGadgets", () => {
  test.concurrent.each([
    ["glibc", [fixture("counter"), "FOLDER", "1000000"], 1],
    ["glibc, static", [fixture("counter.static"), "FOLDER", "1000000"], 1],
    ["glibc, static-pie", [fixture("counter.staticpie"), "FOLDER", "1000000"], 1],
    ["musl", [fixture("counter.musl"), "FOLDER", "1000000"], 1],
    ["musl, static, no signal handlers", [fixture("counter.muslstatic"), "FOLDER", "1000000"], 3],
    ["python", ["python3", "-c", "import time; print('ready', flush=True); time.sleep(1000)"], 1],
  ] as const)("%s", (_what, argv, words) =>
    withScene(async (scene) => {
      const target = await scene.start(argv);
      await target.says("ready");
      const vmas = readMappings(target.pid);
      const gadgets = findGadgets(target.pid, vmas);
      if (gadgets === null) throw new Error("none found");
      expect(gadgets.chain).toHaveLength(words);
      expect(readMemory(target.pid, gadgets.syscallRet, 3)).toEqual(Buffer.from([0x0f, 0x05, 0xc3]));
      expect(stillThere(target.pid, gadgets)).toBe(true);
      expect(stillThere(target.pid, { ...gadgets, syscallRet: gadgets.syscallRet + 1n })).toBe(false);
      expect(stillThere(target.pid, { ...gadgets, chain: [0n] })).toBe(false);
      const syscall = findSyscall(target.pid, vmas) ?? 0n;
      expect(readMemory(target.pid, syscall, 2)).toEqual(Buffer.from([0x0f, 0x05]));
    }),
  );

  test("finds nothing where there is no code", () => {
    expect(findGadgets(process.pid, [])).toBeNull();
    expect(findSyscall(process.pid, [])).toBeNull();
  });
});

const stack: Vma = {
  start: 0x7ffd_0000_0000n,
  end: 0x7ffd_0002_1000n,
  prot: "rw-p",
  offset: 0n,
  path: "[stack]",
  deleted: false,
  dev: "00:00",
  ino: 0n,
  flags: ["gd"],
  kind: "anonymous",
  file: null,
  guards: [],
};

describe("findPlace", () => {
  test("is the bottom of the stack, as long as the red zone stays clear of it", () => {
    const placeBytes = 8192;
    const at = (rsp: bigint) => findPlace(process.pid, { vmas: [stack], rsp, placeBytes });
    expect(at(stack.end - 8n)).toBe(stack.start);
    expect(at(stack.start + 8192n + 128n)).toBe(stack.start);
    // One byte less, and it would have to grow; the stack of this test is not real.
    expect(at(stack.start + 8192n + 127n)).toBeNull();
  });

  test("is nowhere without a stack that can be written to", () => {
    const facts = { rsp: stack.end - 8n, placeBytes: 4096 };
    expect(findPlace(process.pid, { ...facts, vmas: [] })).toBeNull();
    expect(findPlace(process.pid, { ...facts, vmas: [{ ...stack, prot: "r--p" }] })).toBeNull();
  });

  test.each(["deep", "elsewhere"])("%s: is new memory below the stack, where nothing was", (mode) =>
    withScene(async (scene) => {
      const target = await scene.start([places(), mode, "FOLDER"]);
      await target.says("ready");
      using tracee = Tracee.seize(target.pid);
      tracee.stop(1_000);
      const vmas = readMappings(target.pid);
      const rsp = getRegister(readThread(target.pid).registers, "rsp");
      const place = findPlace(target.pid, { vmas, rsp, placeBytes: 8192 }) ?? 0n;
      const before = vmas.find(({ path }) => path === "[stack]");
      const after = readMappings(target.pid).find(({ path }) => path === "[stack]");
      expect(place + 8192n).toBeLessThanOrEqual(before?.start ?? 0n);
      expect(after?.start).toBe(place);
      expect(after?.end).toBe(before?.end);
      // Asked again, it is the same place: the stack has grown once.
      expect(findPlace(target.pid, { vmas: readMappings(target.pid), rsp, placeBytes: 8192 })).toBe(place);
      tracee.release();
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    }),
  );

  test("is below whoever is still on the main stack, and below the main thread where nobody is", () => {
    const at = (...rsps: bigint[]) =>
      lowestOnStack(
        [stack],
        rsps.map((rsp) => withRegisters(Buffer.alloc(REGISTERS_BYTES), { rsp })),
      );
    const [low, high, elsewhere] = [stack.start + 64n, stack.end - 8n, 4096n];
    expect(at(high, elsewhere)).toBe(high);
    expect(at(high, low, elsewhere)).toBe(low);
    expect(at(low, high)).toBe(low);
    expect(at(elsewhere, high, low)).toBe(low);
    expect(at(elsewhere, 8192n)).toBe(elsewhere);
  });

  test("takes whole pages: scratch bytes, the frame, the vector registers", () => {
    expect(placeBytesFor(0, 2696)).toBe(4096);
    expect(placeBytesFor(2200, 2696)).toBe(8192);
    expect(placeBytesFor(0, 11_008)).toBe(12_288);
  });
});

describe("orphanRegisters", () => {
  const plain = withRegisters(Buffer.alloc(REGISTERS_BYTES, 7), { rip: 0x1002n, orig_rax: 35n });

  test.each([-512n, -513n, -514n, -516n])("winds a call back that would be restarted (%s)", (rax) => {
    const registers = withRegisters(plain, { rax });
    const orphan = orphanRegisters(registers);
    expect(orphan).toEqual(withRegisters(registers, { rax: 35n, rip: 0x1000n }));
    expect(getRegister(registers, "rip")).toBe(0x1002n);
  });

  test("leaves alone what is no call, or a call that is done", () => {
    for (const changes of [{ rax: -4n }, { rax: 0n }, { rax: -512n, orig_rax: -1n }]) {
      const registers = withRegisters(plain, changes);
      expect(orphanRegisters(registers)).toEqual(registers);
      expect(orphanRegisters(registers)).not.toBe(registers);
    }
  });
});
