/** Which pages of a real process go into a core: what is its own, no more, and nothing that cannot be read. */
import { expect, test } from "vitest";
import { planPages, type StoredRange } from "../../src/checkpoint/pages.js";
import type { Vma } from "../../src/state/vma.js";
import { Pagemap } from "../../src/tracee/pagemap.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { buildProgram } from "../tracee/build.js";
import { PAGE, type PagesTarget, startPages } from "../tracee/pages-target.js";
import { whileFrozen } from "./frozen.js";

const pages = buildProgram("pages");

function plan(pid: number, vmas: readonly Vma[]) {
  using pagemap = new Pagemap(pid);
  return planPages(pid, vmas, pagemap);
}

/** Stored ranges of a mapping as `first-last` page numbers. */
function rangesIn(
  stored: readonly StoredRange[],
  it: PagesTarget,
  [mapping, count]: ["private" | "file" | "shared", number],
) {
  const start = it.at(mapping, 0);
  return stored
    .filter(({ address }) => address >= start && address < it.at(mapping, count))
    .map(({ address, lengthBytes }) => {
      const first = (address - start) / PAGE;
      return `${first}-${first + BigInt(lengthBytes) / PAGE}`;
    });
}

test("stores what is a process's own: guards apart, gaps joined, clean file pages left out", () =>
  withScene(async (scene) => {
    const it = await startPages(scene, pages());
    await whileFrozen(it.target.pid, ({ look }) => {
      const { vmas, stored } = plan(it.target.pid, look.facts.vmas);
      const holder = (address: bigint) => vmas.find(({ start, end }) => address >= start && address < end);
      // Pages 2 to 4 are absent or zero; page 5 is a mapping of its own (PROT_NONE).
      expect(rangesIn(stored, it, ["private", 16])).toEqual(["0-2", "5-6"]);
      expect(holder(it.at("private", 8))?.guards).toEqual([[it.at("private", 8), it.at("private", 9)]]);
      expect(rangesIn(stored, it, ["file", 8])).toEqual(["2-3"]);
      expect(rangesIn(stored, it, ["shared", 64])).toEqual(["0-1", "40-41"]);
      // What the layout demands: in order, whole pages, each inside one mapping.
      for (const [index, { address, lengthBytes }] of stored.entries()) {
        const before = stored[index - 1];
        expect(address).toBeGreaterThanOrEqual(before ? before.address + BigInt(before.lengthBytes) : 0n);
        expect(holder(address)?.end).toBeGreaterThanOrEqual(address + BigInt(lengthBytes));
      }
    });
    it.target.go();
    expect(await it.target.ended(), it.target.output()).toBe("exited 0");
  }));

test("stores the vdso and the first page of every ELF file, which debuggers look for", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("calls"), "FOLDER"]);
    await target.says("ready");
    await whileFrozen(target.pid, ({ look }) => {
      const { vmas, stored } = plan(target.pid, look.facts.vmas);
      const heads = vmas.filter(
        ({ kind, offset, path }) => kind === "file" && offset === 0n && /calls|\.so/.test(path),
      );
      expect(heads.length).toBeGreaterThan(1);
      for (const { start } of heads) {
        expect(stored.find(({ address }) => address === start)).toMatchObject({
          sameAsFile: true,
          lengthBytes: 4096,
        });
      }
      const vdso = vmas.find(({ path }) => path === "[vdso]");
      expect(stored.some(({ address }) => address === vdso?.start)).toBe(true);
      expect(
        stored.some(({ address }) =>
          vmas.some(({ path, start }) => path.startsWith("[vvar") && start === address),
        ),
      ).toBe(false);
    });
  }));

test("stores all of a shared file mapping that lies within its file, and nothing of one that is only read", () =>
  withScene(async (scene) => {
    const script = [
      "import mmap,os,time",
      "f=open('f','w+b'); f.write(b'x'*10000); f.flush()",
      "w=mmap.mmap(f.fileno(),10000); os.ftruncate(f.fileno(),5000)",
      "g=open('g','w+b'); g.write(b'x'*8192); g.flush(); g=open('g','rb')",
      "r=mmap.mmap(g.fileno(),8192,prot=mmap.PROT_READ)",
      "print('ready',flush=True); time.sleep(1000)",
    ].join("\n");
    const target = await scene.start(["python3", "-c", script], { cwd: scene.folder });
    await target.says("ready");
    await whileFrozen(target.pid, ({ look }) => {
      const { vmas, stored } = plan(target.pid, look.facts.vmas);
      const of = (name: string) => {
        const vma = vmas.find(({ path }) => path === `${scene.folder}/${name}`);
        return stored
          .filter(({ address }) => vma && address >= vma.start && address < vma.end)
          .map(({ lengthBytes }) => lengthBytes);
      };
      // The third page is beyond the end of the file now: reading it would fail.
      expect(of("f")).toEqual([8192]);
      expect(of("g")).toEqual([]);
    });
  }));
