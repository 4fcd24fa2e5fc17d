/**
 * `cr checkpoint --files snapshot`: a program that overwrites its files in place is restored with their content. The
 * program is sqlite3 with a file database, which notices every page that is not of the same moment as its memory.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeResult, jsonOf } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { eventually, sleep } from "../harness/eventually.js";
import { isAlive, killHard, statOf } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import type { Target } from "../harness/target.js";

const ROWS = 4000;
const DATABASE = /^data\.db/;

/** Single-row transactions that also rewrite earlier rows, so that pages change in place. */
function script(mode: string): string {
  const begin = `pragma journal_mode=${mode}; pragma synchronous=off; pragma wal_autocheckpoint=20;
    create table if not exists t (id integer primary key, text text, changes integer default 0);\n`;
  const one = (id: number) =>
    `begin; insert into t (id, text) values (${id}, hex(zeroblob(100)) || ${id});
     update t set changes = changes + 1 where id % 7 = ${id % 7}; commit; select count(*) from t;\n`;
  return begin + Array.from({ length: ROWS }, (_, index) => one(index + 1)).join("");
}

async function begin(scene: Scene, mode: string): Promise<Target> {
  const input = join(scene.folder, "input");
  writeFileSync(input, script(mode));
  const target = await scene.start(["sqlite3", "FOLDER/data.db"], { stdin: { kind: "file", path: input } });
  await target.says("\n300\n", { timeoutMs: 60_000 });
  return target;
}

/** Digests of the database and its companions by name. */
function filesOf(folder: string): Map<string, string> {
  const names = readdirSync(folder).filter((name) => DATABASE.test(name) && !name.endsWith("-shm"));
  return new Map(
    names.sort().map((name) => [
      name,
      createHash("sha256")
        .update(readFileSync(join(folder, name)))
        .digest("hex"),
    ]),
  );
}

/** What another sqlite3 says to the files in a copy, where no lock of the stopped program is seen. */
function ask(folder: string, copy: string, question: string): string {
  mkdirSync(copy);
  for (const name of readdirSync(folder).filter((one) => DATABASE.test(one) && !one.endsWith("-shm")))
    cpSync(join(folder, name), join(copy, name));
  return execFileSync("sqlite3", [join(copy, "data.db"), question], { encoding: "utf8" }).trim();
}

describe.each(["delete", "persist", "wal"])("a database with journal mode %s", (mode) => {
  test("holds exactly what it held at the checkpoint, and the program goes on", { timeout: 120_000 }, () =>
    withScene(async (scene) => {
      const target = await begin(scene, mode);
      const core = join(scene.folder, "core");
      const saved = await scene.cr([
        "checkpoint",
        `${target.pid}`,
        "-o",
        core,
        "--files",
        "snapshot",
        "--stop",
      ]);
      expect(saved.status, describeResult(saved)).toBe(0);
      await eventually("it is stopped", () => statOf(target.pid)?.state === "T");
      const then = filesOf(target.folder);
      const rows = ask(target.folder, join(scene.folder, "then"), "select count(*) from t");
      process.kill(target.pid, "SIGCONT");
      await target.says(`\n${Number(rows) + 200}\n`, { timeoutMs: 60_000 });
      await killHard(target);
      expect(filesOf(target.folder)).not.toEqual(then);

      const restored = await scene.cr(["restore", core, "--stopped", "--json"]);
      expect(restored.status, describeResult(restored)).toBe(0);
      const life = scene.adopt(Number(jsonOf(restored).pid));
      expect(filesOf(target.folder)).toEqual(then);
      const found = ask(
        target.folder,
        join(scene.folder, "now"),
        "pragma integrity_check; select count(*) from t",
      );
      expect(found).toBe(`ok\n${rows}`);
      process.kill(life.pid, "SIGCONT");
      await eventually("it has ended", () => !isAlive(life), { timeoutMs: 60_000 });
      const end = ask(
        target.folder,
        join(scene.folder, "end"),
        "pragma integrity_check; select count(*) from t",
      );
      expect(end).toBe(`ok\n${ROWS}`);
      const counts = target
        .output()
        .trim()
        .split("\n")
        .slice(1)
        .filter((line) => /^\d+$/.test(line));
      expect(new Set(counts).size).toBe(ROWS);
    }),
  );
});

test("a file that was deleted and one that appeared since are put back, or left alone with --files keep", () =>
  withScene(async (scene) => {
    const target = await begin(scene, "delete");
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core, extra: ["--files", "snapshot"] });
    await sleep(50);
    await killHard(target);
    const database = join(target.folder, "data.db");
    unlinkSync(database);
    const wal = `${database}-wal`;
    writeFileSync(wal, "of another time");
    const kept = await scene.cr(["restore", core, "--files", "keep", "--stopped"]);
    expect(kept.stderr).toMatch(/FILE_MISSING/);
    expect(existsSync(wal)).toBe(true);
    const restored = await scene.cr(["restore", core, "--stopped", "--json"]);
    expect(restored.status, describeResult(restored)).toBe(0);
    scene.adopt(Number(jsonOf(restored).pid));
    expect(existsSync(wal)).toBe(false);
    expect(readFileSync(`${core}.later.0.data.db-wal`, "utf8")).toBe("of another time");
    expect(ask(target.folder, join(scene.folder, "copy"), "pragma integrity_check")).toBe("ok");
  }));

test("all files are as they were when the restore fails", () =>
  withScene(async (scene) => {
    const target = await begin(scene, "delete");
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core, extra: ["--files", "snapshot"] });
    await sleep(100);
    await killHard(target);
    const later = filesOf(target.folder);
    const failed = await scene.cr(["restore", core], { env: { CR_FAULT: "restore-after-rebuild:error" } });
    expect(failed.status).not.toBe(0);
    expect(filesOf(target.folder)).toEqual(later);
    expect(readdirSync(scene.folder).filter((name) => name.includes(".later."))).toEqual([]);
  }));
