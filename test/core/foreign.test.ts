/**
 * Cores that gdb's gcore and the kernel write of programs running now: what is decoded has to be what /proc said
 * of the process while it lived.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { fitForeignXstate } from "../../src/core/foreign-xstate.js";
import { readState } from "../../src/core/read-state.js";
import { openCore } from "../../src/core/reader.js";
import { verifyCore } from "../../src/core/verify.js";
import type { ProcessState } from "../../src/state/process.js";
import { eventually } from "../harness/eventually.js";
import { statOf } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { slowChecksum } from "./sample-core.js";

const run = promisify(execFile);

const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  "a PIE": [fixture("counter"), "FOLDER", "100000", "10000"],
  "a static program": [fixture("counter.static"), "FOLDER", "100000", "10000"],
  "a static PIE": [fixture("counter.staticpie"), "FOLDER", "100000", "10000"],
  "a static musl program with a heap": [fixture("brk.muslstatic"), "FOLDER"],
  "a musl program with a heap": [fixture("brk.musl"), "FOLDER"],
  "a program without randomised addresses": [
    "setarch",
    "-R",
    fixture("counter"),
    "FOLDER",
    "100000",
    "10000",
  ],
  python3: ["/usr/bin/python3.11", "-c", "import time; print('ready', flush=True); time.sleep(1000)"],
};

const NO_HEAP = [fixture("counter.muslstatic"), "FOLDER", "100000", "10000"];
const WITHOUT_HEAP = "a static musl program that never allocates";

/** What /proc says: mappings as `start-end prot path`, and the memory bounds by their name in MmBounds. */
interface Seen {
  readonly pid: number;
  readonly exe: string;
  readonly maps: readonly string[];
  readonly bounds: Readonly<Record<string, bigint>>;
}

function look(pid: number): Seen {
  const maps = readFileSync(`/proc/${pid}/maps`, "utf8").trimEnd().split("\n");
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // Numbers of proc_pid_stat(5); the first field behind the name is 3.
  const at = { startCode: 26, endCode: 27, startStack: 28, startData: 45, endData: 46 };
  const strings = { startBrk: 47, argStart: 48, argEnd: 49, envStart: 50, envEnd: 51 };
  const bounds = Object.entries({ ...at, ...strings }).map(([name, field]) => [
    name,
    BigInt(fields[field - 3] ?? 0),
  ]);
  const heap = maps.filter((line) => line.endsWith("[heap]")).at(-1) ?? "";
  const brk = BigInt(`0x${heap.match(/-([0-9a-f]+)/)?.[1] ?? "0"}`);
  return {
    pid,
    exe: readlinkSync(`/proc/${pid}/exe`),
    maps: maps.map((line) => line.replace(/^(\S+) (...).\s\S+ \S+ \S+\s*/, "$1 $2 ")),
    bounds: { ...Object.fromEntries(bounds), brk },
  };
}

/** Mappings as /proc prints them; `[vvar…]` and `[vsyscall]` belong to the kernel and are left out. */
function mapsOf(state: ProcessState): string[] {
  return state.vmas.map(({ start, end, prot, path }) => {
    return `${start.toString(16).padStart(8, "0")}-${end.toString(16).padStart(8, "0")} ${prot.slice(0, 3)} ${path}`;
  });
}

const ownMaps = (maps: readonly string[]) =>
  maps.filter((line) => !/\[(vvar|vvar_vclock|vsyscall)\]$/.test(line));

async function taken(
  scene: Scene,
  program: string,
  by: "gcore" | "kernel",
): Promise<{ seen: Seen; core: string }> {
  const cwd = mkdtempSync(join(scene.folder, "cwd"));
  const target = await scene.start(["prlimit", "--core=unlimited", ...(PROGRAMS[program] ?? NO_HEAP)], {
    cwd,
  });
  await target.says("ready");
  const seen = look(target.pid);
  if (by === "gcore") {
    const core = join(scene.folder, "core");
    await run("gdb", ["-nx", "-batch", "-p", String(target.pid), "-ex", `gcore ${core}`]);
    return { seen, core };
  }
  process.kill(target.pid, "SIGQUIT");
  await eventually("the core is written", () => statOf(target.pid) === null);
  return { seen, core: join(cwd, readdirSync(cwd).find((name) => name.startsWith("core")) ?? "none") };
}

const CASES = Object.keys(PROGRAMS).flatMap((program) => [
  // gdb leaves mappings without access out: the first page of musl's heap is one.
  ...(program === "a musl program with a heap" ? [] : [{ program, by: "gcore" as const }]),
  { program, by: "kernel" as const },
]);

describe("a core of", () => {
  test.each(CASES)("$program by $by shows the process as /proc did", ({ program, by }) =>
    withScene(async (scene) => {
      const { seen, core: path } = await taken(scene, program, by);
      using core = openCore(path);
      expect(core.origin).toBe(by);
      const state = readState(core);
      expect(state.process.pid).toBe(seen.pid);
      expect(state.mm).toEqual(seen.bounds);
      expect(mapsOf(state)).toEqual(ownMaps(seen.maps));
      expect(state.process.exe.path).toBe(seen.exe);
      expect(state.vmas.find(({ path }) => path === "[stack]")?.flags).toEqual(["gd"]);
      expect(state.host.vdsoCrc32c).not.toBeNull();
      if (by === "kernel") expect(state.siginfo?.readInt32LE(0)).toBe(constants.signals.SIGQUIT);
      expect(state.softErrors.map(({ kind }) => kind)).toEqual(
        expect.arrayContaining(["signal", "fd", "cwd"]),
      );
      expect(verifyCore(core, slowChecksum)).toEqual({ ok: true, checkedBytes: 0, problems: [] });
    }),
  );

  test("a program without a heap gets an empty one behind its data, and that is said", () =>
    withScene(async (scene) => {
      const { seen, core: path } = await taken(scene, WITHOUT_HEAP, "kernel");
      using core = openCore(path);
      const { mm, softErrors } = readState(core);
      expect(mm.brk).toBe(mm.startBrk);
      expect(mm.brk).toBeGreaterThanOrEqual(seen.bounds.endData ?? 0n);
      expect(softErrors).toContainEqual(expect.objectContaining({ kind: "brk" }));
    }));

  test("a glibc program carries its rseq registration, which the program never says again", () =>
    withScene(async (scene) => {
      const { core: path } = await taken(scene, "a PIE", "kernel");
      using core = openCore(path);
      const [thread] = readState(core).threads;
      expect(thread?.rseq).toMatchObject({ sizeBytes: 32, signature: 0x53053053, flags: 0 });
    }));
});

test("fitForeignXstate keeps what stands at the same place on every CPU", () => {
  const gdb = Buffer.alloc(2688, 7);
  gdb.writeBigUInt64LE(0xe7n, 512);
  const fitted = fitForeignXstate(gdb, 2432);
  expect(fitted).toHaveLength(2432);
  expect(fitted.readBigUInt64LE(512)).toBe(7n);
  expect(fitted.subarray(520, 832)).toEqual(gdb.subarray(520, 832));
  expect(fitted.subarray(832).every((byte) => byte === 0)).toBe(true);
  expect(fitForeignXstate(gdb, 2688)).toBe(gdb);
});
