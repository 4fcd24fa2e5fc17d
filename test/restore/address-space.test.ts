/** A newborn's address space replaced by a recorded one: the same places, protections, sharing and advice. */
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { initialProt, mapAll, protOf, settle, vacate } from "../../src/restore/address-space.js";
import { freeAddress, Workshop } from "../../src/restore/workshop.js";
import type { Vma } from "../../src/state/vma.js";
import { parseSmaps, readMappings, readMapsText } from "../../src/tracee/maps.js";
import { readMemory, writeMemory } from "../../src/tracee/memory.js";
import { Newborn } from "../../src/tracee/newborn.js";
import { Pagemap } from "../../src/tracee/pagemap.js";
import { vdsoMappings } from "../../src/tracee/vdso.js";
import { errorOf } from "../checkpoint/frozen.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const BASE = 0x5000_0000_0000n;

function vma(page: number, pages: number, changes: Partial<Vma> = {}): Vma {
  const start = BASE + BigInt(page) * 4096n;
  return {
    start,
    end: start + BigInt(pages) * 4096n,
    prot: "rw-p",
    offset: 0n,
    path: "",
    deleted: false,
    dev: "00:00",
    ino: 0n,
    flags: ["ac"],
    kind: "anonymous",
    file: null,
    guards: [],
    ...changes,
  };
}

/** A newborn that has descriptor 64 for `file`, with a workshop clear of `vmas`. */
function withNewborn(
  { vmas, file }: { vmas: readonly Vma[]; file: string },
  act: (workshop: Workshop, newborn: Newborn) => void,
): void {
  const fd = openSync(file, "r");
  try {
    const options = {
      exe: fixture("counter"),
      pid: null,
      group: "session",
      personality: 0x0004_0000,
      clocks: "",
    } as const;
    using newborn = Newborn.spawn({ ...options, fds: [fd], fdBase: 64 });
    const entry = newborn.runToEntry();
    const taken = [...vmas, ...parseSmaps(readMapsText(newborn.pid))];
    const dataBytes = 8192;
    const start = freeAddress(taken, dataBytes + 8192);
    act(Workshop.open(newborn, entry, { start, dataBytes }), newborn);
  } finally {
    closeSync(fd);
  }
}

/** Mappings of the newborn but its workshop and the kernel's own. */
function mapped(workshop: Workshop, pid: number): Vma[] {
  return readMappings(pid).filter(
    ({ start, kind }) => kind !== "special" && (start < workshop.start || start >= workshop.end),
  );
}

describe("a rebuilt address space", () => {
  test("has the recorded mappings, and nothing else", () =>
    withScene(async (scene) => {
      const file = join(scene.folder, "file");
      writeFileSync(file, "x".repeat(4 * 4096));
      const vmas = [
        vma(0, 4, { flags: ["ac", "nh"] }),
        vma(8, 2, { prot: "---p", flags: ["nr"] }),
        vma(16, 1, { prot: "r--p", flags: ["ac"] }),
        vma(32, 2, { prot: "r-xp", kind: "file", path: file, offset: 4096n, flags: [] }),
        vma(64, 8, { path: "[stack]", flags: ["ac", "gd"] }),
        vma(128, 4, { flags: ["ac", "dd", "dc", "wf", "lo"] }),
        vma(160, 4, { guards: [[BASE + 161n * 4096n, BASE + 162n * 4096n]] }),
      ];
      withNewborn({ vmas, file }, (workshop, newborn) => {
        vacate(workshop, vmas);
        expect(mapped(workshop, newborn.pid)).toEqual([]);
        mapAll(workshop, vmas, () => 64);
        // The kernel stops counting memory that becomes read-only before anything was written to it.
        writeMemory(newborn.pid, BASE + 16n * 4096n, Buffer.from("x"));
        settle(workshop, vmas);
        const now = mapped(workshop, newborn.pid);
        const shape = ({ start, end, prot }: Vma) => ({ start, end, prot });
        expect(now.map(shape)).toEqual(vmas.map(shape));
        const flags = (index: number) => now[index]?.flags ?? [];
        expect(flags(0)).toContain("nh");
        expect(flags(1)).toContain("nr");
        expect(flags(1)).not.toContain("ac");
        expect(flags(2)).toContain("ac");
        expect(flags(4)).toContain("gd");
        expect(flags(5)).toEqual(expect.arrayContaining(["dd", "dc", "wf", "lo"]));
        expect(now[3]).toMatchObject({ path: file, offset: 4096n, kind: "file" });
        using pagemap = new Pagemap(newborn.pid);
        const guards = pagemap.spans(BASE + 160n * 4096n, BASE + 164n * 4096n).filter(({ guard }) => guard);
        expect(guards.map(({ start, end }) => [start, end])).toEqual(vmas[6]?.guards);
      });
    }));

  test("has parts of one shared object that are one memory", () =>
    withScene(async (scene) => {
      const file = join(scene.folder, "file");
      writeFileSync(file, "");
      const shared = { kind: "shared-anonymous", prot: "rw-s", path: "/dev/zero", ino: 7n } as const;
      const vmas = [
        vma(0, 2, { ...shared, offset: 4096n }),
        vma(8, 3, { ...shared, prot: "r--s" }),
        vma(16, 1, { ...shared, ino: 8n }),
      ];
      withNewborn({ vmas, file }, (workshop, newborn) => {
        vacate(workshop, vmas);
        mapAll(workshop, vmas, () => -1);
        settle(workshop, vmas);
        expect(mapped(workshop, newborn.pid).map(({ prot }) => prot)).toEqual(["rw-s", "r--s", "rw-s"]);
        writeMemory(newborn.pid, BASE, Buffer.from("once"));
        // Page 1 of the object is the first page of one mapping and the second of the other.
        expect(readMemory(newborn.pid, BASE + 9n * 4096n, 4).toString()).toBe("once");
        expect(readMemory(newborn.pid, BASE + 16n * 4096n, 4)).toEqual(Buffer.alloc(4));
      });
    }));

  test("has the vdso where it was, and refuses one that this kernel arranges otherwise", () =>
    withScene(async (scene) => {
      const file = join(scene.folder, "file");
      writeFileSync(file, "");
      const own = vdsoMappings("self");
      const low = own.reduce((least, { start }) => (start < least ? start : least), own[0]?.start ?? 0n);
      const special = own.map(({ start, end, path }) =>
        vma(0, 1, { start: BASE + start - low, end: BASE + end - low, path, kind: "special", prot: "r-xp" }),
      );
      withNewborn({ vmas: special, file }, (workshop, newborn) => {
        vacate(workshop, special);
        const places = vdsoMappings(newborn.pid).map(({ start, end, path }) => ({ start, end, path }));
        expect(places).toEqual(special.map(({ start, end, path }) => ({ start, end, path })));
      });
      const torn = special.map((one) => (one.path === "[vvar]" ? { ...one, start: one.start - 4096n } : one));
      withNewborn({ vmas: torn, file }, (workshop) => {
        expect(errorOf(() => vacate(workshop, torn))).toMatchObject({ code: "VDSO_MISMATCH" });
      });
    }));
});

test("protections are those of the letters, but memory that counts is writable at first", () => {
  expect(["---p", "r--p", "-w-p", "r-xp", "rwxs"].map((prot) => protOf(vma(0, 1, { prot })))).toEqual([
    0, 1, 2, 5, 7,
  ]);
  const first = (changes: Partial<Vma>) => (initialProt(vma(0, 1, changes)) & 2) !== 0;
  expect(first({ prot: "r--p", flags: ["ac"] })).toBe(true);
  expect(first({ prot: "r--p", flags: [] })).toBe(false);
  expect(first({ prot: "r--s", flags: ["ac"], kind: "shared-file" })).toBe(false);
  expect(first({ prot: "r--s", flags: [], kind: "shared-anonymous" })).toBe(true);
});
