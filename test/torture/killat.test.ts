/** The driver itself: it counts the same boundaries each time, kills before or after the call, follows threads. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildPrograms } from "./build.js";
import { runKilled } from "./killed-run.js";

/** A tool with few calls, always the same ones: open, look, read, write, close. */
const CAT = { command: ["cat", "/proc/self/comm"], from: "path:/proc/self/comm" } as const;
let folder: string;

beforeAll(() => {
  buildPrograms();
  folder = mkdtempSync(`${tmpdir()}/cr-killat-`);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("killat", () => {
  it("counts the same boundaries in every run and passes the tool's status on", async () => {
    const first = await runKilled(CAT);
    const second = await runKilled(CAT);
    expect(first).toMatchObject({ killed: false, exitStatus: 0, seizedAt: -1, output: "cat\n" });
    expect(first.boundaries).toBeGreaterThan(10);
    expect(second.boundaries).toBe(first.boundaries);
    const failing = await runKilled({ command: ["cat", "/no/such/file"], from: "exec" });
    expect(failing).toMatchObject({ killed: false, exitStatus: 1 });
  });

  it("kills before a call, which then has no effect, and after it", async () => {
    const trace = `${folder}/calls`;
    const { boundaries } = await runKilled({ ...CAT, trace });
    expect(readFileSync(trace, "utf8")).toContain('"call":"write","args":[1,4],"result":4');
    const runs = [];
    for (let killAt = 0; killAt < boundaries; killAt++) runs.push(await runKilled({ ...CAT, killAt }));
    expect(runs.every(({ killed, signal }) => killed && signal === 9)).toBe(true);
    const before = runs.find(({ killedIn }) => killedIn === "entry of write");
    const after = runs.find(({ killedIn }) => killedIn === "exit of write");
    expect([before?.output, after?.output]).toEqual(["", "cat\n"]);
  });

  it("follows all threads of the tool and kills them together", async () => {
    const command = [
      process.execPath,
      "-e",
      "require('node:fs').readdir('/', () => setTimeout(() => {}, 30_000))",
    ];
    const run = await runKilled({ command, from: "path:/", killAt: 700 });
    expect(run).toMatchObject({ killed: true, signal: 9, exitStatus: -1 });
  });
});
