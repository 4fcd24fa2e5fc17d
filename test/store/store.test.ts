/** Jobs and generations in a real folder: names, modes, numbering, what a listing leaves out. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  listGenerations,
  newestGeneration,
  nextGeneration,
  removeGeneration,
} from "../../src/store/generation.js";
import { homeFolder } from "../../src/store/home.js";
import { defaultJobName, findJob, listJobs, openJob } from "../../src/store/job.js";

let home: string;
beforeEach(() => {
  home = join(mkdtempSync(join(tmpdir(), "recore-home-")), "deep", "home");
});
afterEach(() => rmSync(join(home, "../.."), { recursive: true }));

describe("home", () => {
  test.each([
    [{ CR_HOME: "/data/jobs" }, 0, "/data/jobs"],
    [{}, 0, "/var/lib/recore"],
    [{ XDG_STATE_HOME: "/home/ada/state" }, 1000, "/home/ada/state/recore"],
  ])("with %j as uid %i it is %s", (env, uid, folder) => {
    expect(homeFolder(env, uid)).toBe(folder);
  });

  test("without settings it is in the user's state folder", () => {
    expect(homeFolder({}, 1000)).toMatch(/\/\.local\/state\/recore$/);
  });
});

describe("job", () => {
  test("its folder is for its owner only, and so are those made above it", () => {
    const job = openJob("counter-12", home);
    expect(statSync(job.folder).mode & 0o777).toBe(0o700);
    expect(statSync(home).mode & 0o777).toBe(0o700);
    expect(listJobs(home)).toEqual([job]);
    expect(findJob("counter-12", home)).toEqual(job);
  });

  test.each(["", "..", "a/b", "-x", ".hidden", "x".repeat(65), "a\nb"])("refuses the name %j", (name) => {
    expect(() => openJob(name, home)).toThrow(expect.objectContaining({ code: "USAGE" }));
  });

  test("a job that is not there is named", () => {
    expect(() => findJob("none", home)).toThrow(
      expect.objectContaining({ code: "NO_SUCH_JOB", message: expect.stringContaining(home) }),
    );
    expect(listJobs(home)).toEqual([]);
  });

  test("a home that cannot be made is OUTPUT_FAILED with a way out", () => {
    expect(() => openJob("job", "/proc/nowhere")).toThrow(
      expect.objectContaining({ code: "OUTPUT_FAILED", hint: expect.stringContaining("CR_HOME") }),
    );
  });

  test.each([
    ["bc", "bc-9"],
    ["tmux: server", "tmux__server-9"],
    ["../../etc", "_._.._etc-9"],
    ["(sd-pam)", "_sd-pam_-9"],
    ["", "_-9"],
  ])("of a program called %j it is %s by default", (comm, name) => {
    expect(defaultJobName(comm, 9)).toBe(name);
    openJob(name, home);
  });
});

describe("generations", () => {
  test("are numbered on, whatever pid the program has", () => {
    const job = openJob("job", home);
    expect(nextGeneration(job, 40)).toEqual({ number: 1, path: join(job.folder, "core.40.000001") });
    writeFileSync(join(job.folder, "core.40.000009"), "x");
    writeFileSync(join(job.folder, "core.41.000010"), "x");
    expect(nextGeneration(job, 40).path).toBe(join(job.folder, "core.40.000011"));
    expect(listGenerations(job).map(({ number, pid }) => [number, pid])).toEqual([
      [9, 40],
      [10, 41],
    ]);
    expect(newestGeneration(job)?.path).toBe(join(job.folder, "core.41.000010"));
  });

  test("only whole ones are listed, and broken ones keep their numbers", () => {
    const job = openJob("job", home);
    const path = (name: string) => join(job.folder, name);
    writeFileSync(path("core.5.000001"), "x");
    writeFileSync(path("core.5.000002"), "");
    mkdirSync(path("core.5.000003"));
    mkdirSync(path("core.5.000004"));
    writeFileSync(path("core.5.000004/manifest.json"), "{}");
    symlinkSync("missing", path("core.5.000005"));
    writeFileSync(path("core.5.000006.tmp"), "x");
    writeFileSync(path("lock.b.1.2"), "");
    expect(listGenerations(job).map((one) => one.number)).toEqual([1, 4]);
    expect(nextGeneration(job, 5).number).toBe(6);
  });

  test("are removed, files and folders", () => {
    const job = openJob("job", home);
    writeFileSync(join(job.folder, "core.5.000001"), "x");
    mkdirSync(join(job.folder, "core.5.000002"));
    writeFileSync(join(job.folder, "core.5.000002/manifest.json"), "{}");
    for (const generation of listGenerations(job)) removeGeneration(generation);
    expect(readdirSync(job.folder)).toEqual([]);
  });
});
