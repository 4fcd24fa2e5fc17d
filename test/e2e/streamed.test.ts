/** Streams: a core goes through a pipe and is restored or exported whole, or it is refused and nothing is started. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type CrResult, describeResult } from "../harness/cr.js";
import { eventually } from "../harness/eventually.js";
import { isAlive, killHard, runsFreely } from "../harness/process.js";
import { expectRefusal, FAILED_FOREGROUND, listing } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

/** cr with its standard output in a file: the harness takes it for text. */
const into = (path: string): readonly string[] => ["sh", "-c", `exec "$0" "$@" > '${path}'`];

async function sent(
  scene: Scene,
  name: string,
  { extra = [], asNobody = false }: { extra?: readonly string[]; asNobody?: boolean } = {},
): Promise<{ target: Target; stream: string }> {
  const target = await scene.start([fixture(name), "FOLDER"], { asNobody });
  await target.says("ready");
  const stream = join(target.folder, "stream");
  const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", "-", ...extra], {
    under: into(stream),
    cwd: target.folder,
    asNobody,
  });
  expect(result.status, describeResult(result)).toBe(0);
  expect(result.stderr).toContain("to standard output");
  expect(runsFreely(target)).toBe(true);
  return { target, stream };
}

/** Restores what the bytes are, from standard input. */
function received(
  scene: Scene,
  bytes: Buffer,
  args: readonly string[] = ["restore", "-"],
): Promise<CrResult> {
  const cr = scene.startCr(args);
  cr.stdin.end(bytes);
  return cr.done;
}

describe("a streamed core", () => {
  test.concurrent.each([
    ["heap", []],
    ["heap", ["--compress", "zstd"]],
    ["memfds", ["--compress", "zstd"]],
    ["deleted", []],
  ] as const)("of %s %j is restored from standard input", (name, extra) =>
    withScene(async (scene) => {
      const { target, stream } = await sent(scene, name, { extra });
      await killHard(target);
      target.go();
      const end = await received(scene, readFileSync(stream));
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
      expect(target.output()).toMatch(/ok\n$/);
    }),
  );

  test.concurrent("is restored as nobody, by a process that finds it under its descriptor", () =>
    withScene(async (scene) => {
      const { target, stream } = await sent(scene, "heap", { asNobody: true });
      await killHard(target);
      target.go();
      const under = ["sh", "-c", `exec "$0" "$@" < '${stream}'`];
      const end = await scene.cr(["restore", "-"], { asNobody: true, cwd: target.folder, under });
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
      expect(target.output()).toMatch(/ok\n$/);
    }));

  test.concurrent("goes through compressors and is exported", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("heap"), "FOLDER"]);
      await target.says("ready");
      const plain = join(scene.folder, "plain");
      const pipe = `"$0" "$@" | zstd -q | zstd -dq | "$0" export - -o '${plain}'`;
      const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", "-", "--json"], {
        under: ["bash", "-o", "pipefail", "-c", pipe],
      });
      expect(result.status, describeResult(result)).toBe(0);
      expect(JSON.parse(result.stderr)).toMatchObject({ pid: target.pid, core: "-" });
      const verified = await scene.cr(["verify", plain]);
      expect(verified.status, describeResult(verified)).toBe(0);
    }));

  test.concurrent("leaves the program its input where that is placed, else /dev/null", () =>
    withScene(async (scene) => {
      const target = await scene.start(["python3", "-c", READER], {
        stdin: { kind: "pipe", path: fifo(scene) },
      });
      const keepsOpen = openSync(join(scene.folder, "fifo"), "r+");
      await target.says("ready");
      const stream = join(target.folder, "stream");
      await scene.cr(["checkpoint", `${target.pid}`, "-o", "-"], { under: into(stream) });
      await killHard(target);
      target.go();
      const end = await received(scene, readFileSync(stream));
      closeSync(keepsOpen);
      expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
      expect(target.output()).toBe("ready\ngot ''\n");
    }));
});

/** Waits for the file `go` and then reads all of its input. */
const READER =
  "import os,sys,time\nprint('ready',flush=True)\n" +
  "while not os.path.exists('go'): time.sleep(0.02)\nprint('got',repr(sys.stdin.read()),flush=True)";

function fifo(scene: Scene): string {
  const path = join(scene.folder, "fifo");
  execFileSync("mkfifo", [path]);
  return path;
}

test("a reader that does not read holds up cr, and not the program", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("counter"), "FOLDER", "1000000", "1000"]);
    await target.says("\n3\n");
    const path = fifo(scene);
    // A reader is there, which takes a little and then nothing.
    const reader = openSync(path, "r+");
    const taking = scene.startCr(["checkpoint", `${target.pid}`, "-o", "-"], { under: into(path) });
    readSync(reader, Buffer.alloc(16));
    await eventually("the program runs on", () => runsFreely(target));
    const before = target.output().length;
    await eventually("it counts on", () => target.output().length > before + 100);
    expect(isAlive(scene.adopt(taking.pid))).toBe(true);
    closeSync(reader);
    const result = await taking.done;
    expect(result.status, describeResult(result)).toBe(1);
    expect(result.stderr).toMatch(/OUTPUT_FAILED: .*whoever reads it has gone/);
    expect(runsFreely(target)).toBe(true);
  }));

test("a stream that was kept in a file is named as one, with what to do", () =>
  withScene(async (scene) => {
    const { stream } = await sent(scene, "heap");
    const end = await scene.cr(["restore", stream, "-d"]);
    expectRefusal(end, {
      codes: ["BAD_CORE"],
      status: 1,
      names: /the file is a stream of cr checkpoint -o -/,
    });
    expect(end.stderr).toContain(`cr restore - < ${stream}`);
  }));

describe("what is not a whole stream is never restored", () => {
  test(
    "cut short, altered, lengthened or another file",
    () =>
      withScene(async (scene) => {
        const { target, stream } = await sent(scene, "heap");
        await killHard(target);
        const bytes = readFileSync(stream);
        const cases: readonly (readonly [string, Buffer, string, RegExp])[] = [
          ["empty", Buffer.alloc(0), "CORE_TRUNCATED", /the stream ends in its beginning/],
          ["in a header", bytes.subarray(0, 30), "CORE_TRUNCATED", /ends in record 1/],
          ["in the middle", bytes.subarray(0, bytes.length >> 1), "CORE_TRUNCATED", /before its trailer/],
          ["without trailer", bytes.subarray(0, bytes.length - 24), "CORE_TRUNCATED", /before its trailer/],
          ["more behind", Buffer.concat([bytes, Buffer.from("x")]), "CORE_CORRUPT", /something follows/],
          ["a header", flip(bytes, 20), "CORE_CORRUPT", /header of record 1 does not match/],
          ["a page", flip(bytes, 5_000), "CORE_CORRUPT", /bytes for file offset \d+ do not match/],
          ["the trailer", flip(bytes, bytes.length - 8), "CORE_CORRUPT", /does not match/],
          ["a version", flip(bytes, 9), "FORMAT_VERSION", /a stream of version 257/],
          ["a core", readFileSync("/bin/true"), "BAD_CORE", /does not begin as a stream/],
        ];
        for (const [what, altered, code, names] of cases) {
          const result = await received(scene, altered);
          expectRefusal(result, { codes: [code as "BAD_CORE"], status: FAILED_FOREGROUND, names });
          expect(result.stderr, what).toContain("from standard input");
          const plain = join(scene.folder, "plain");
          const exported = await received(scene, altered, ["export", "-", "-o", plain]);
          expectRefusal(exported, { codes: [code as "BAD_CORE"], names });
        }
        expect(listing(scene.folder)).toEqual(["target0"]);
      }),
    120_000,
  );
});

function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

describe("cr checkpoint -o -", () => {
  test.concurrent("does not kill what nobody knows to have arrived", () =>
    withScene(async (scene) => {
      const result = await scene.cr(["checkpoint", "1", "-o", "-", "--kill"]);
      expect(result.status, describeResult(result)).toBe(2);
      expect(result.stderr).toMatch(/USAGE: --kill with -o -/);
    }));

  test.concurrent("refuses a program with children before the stop", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("family"), "FOLDER"]);
      await target.says("ready");
      const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", "-"]);
      expectRefusal(result, {
        codes: ["UNSUPPORTED_STATE"],
        names: /saved into a folder, not into a stream/,
      });
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    }));

  test.concurrent("names the folder where the stream finds no room", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("counter"), "FOLDER", "100000"]);
      await target.says("\n3\n");
      const env = { TMPDIR: join(scene.folder, "missing") };
      const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", "-"], { env });
      expectRefusal(result, { codes: ["OUTPUT_FAILED"], names: /missing: the folder does not exist/ });
      expect(result.stderr).toContain("TMPDIR=");
      expect(runsFreely(target)).toBe(true);
    }));
});
