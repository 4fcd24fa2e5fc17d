/** The command line itself: help, wrong usage and its exit status, variables for flags, and a light start. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { VERBS } from "../../src/cli/program.js";
import { VERSION } from "../../src/version.js";
import { type CrOptions, type CrResult, describeResult, jsonOf } from "../harness/cr.js";
import { isAlive, runsFreely } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const CR = fileURLToPath(new URL("../../bin/cr", import.meta.url));

/** Which modules are in each file of the bundle, by build/bundle.mjs. */
const BUNDLED = JSON.parse(
  readFileSync(new URL("../../dist/bundle/modules.json", import.meta.url), "utf8"),
) as Readonly<Record<string, readonly string[]>>;

async function cr(args: readonly string[], options: CrOptions = {}): Promise<CrResult> {
  const results: CrResult[] = [];
  await withScene(async (scene) => {
    results.push(await scene.cr(args, options));
  });
  return results[0] as CrResult;
}

describe("help", () => {
  test.concurrent.each([["--help"], ["-h"], ["help"]])("cr %s lists every verb", async (flag) => {
    const result = await cr([flag]);
    expect(result.status, describeResult(result)).toBe(0);
    for (const verb of Object.keys(VERBS)) expect(result.stdout).toMatch(new RegExp(`^  ${verb} `, "m"));
    expect(result.stderr).toBe("");
  });

  test.concurrent.each(Object.keys(VERBS))(
    "cr %s --help names its flags and their variables",
    async (verb) => {
      const result = await cr([verb, "--help"]);
      expect(result.status, describeResult(result)).toBe(0);
      expect(result.stdout).toContain(`Usage: cr ${verb}`);
      // Each flag but --help has a variable.
      const flags = result.stdout.match(/^ {2}(?:-\w, )?--[\w-]+/gm) ?? [];
      const variables = result.stdout.match(/env:\s+CR_\w+/g) ?? [];
      expect(variables.length, result.stdout).toBe(flags.length - 1);
    },
  );
});

describe("wrong usage", () => {
  test.concurrent.each([
    ["an unknown verb", ["chekpoint", "1"], /unknown command 'chekpoint'\n\(Did you mean checkpoint\?\)/],
    ["a verb that is a property of every object", ["toString"], /unknown command 'toString'/],
    ["no pid", ["checkpoint"], /missing required argument 'pid'/],
    ["a pid that is none", ["checkpoint", "12x"], /'12x' is invalid/],
    ["pid 0", ["checkpoint", "0"], /'0' is invalid/],
    ["two pids", ["checkpoint", "1", "2"], /too many arguments/],
    ["an unknown flag", ["checkpoint", "1", "--nope"], /unknown option '--nope'/],
    ["flags that exclude one another", ["checkpoint", "1", "--kill", "--stop"], /cannot be used with/],
    ["a time without a unit", ["checkpoint", "1", "--timeout", "5"], /'5' is invalid/],
    ["a stream of what is to be killed", ["checkpoint", "1", "-o", "-", "--kill"], /--kill with -o -/],
    ["an unknown compression", ["checkpoint", "1", "--compress", "lz4"], /zstd:LEVEL/],
    ["an export to nowhere", ["export", "core"], /-o, --output/],
    ["an unknown code", ["explain", "NOPE"], /no error code is called NOPE/],
  ])("%s: status 2, one message, one next step", async (_what, args, message) => {
    const result = await cr(args);
    const said = describeResult(result);
    expect(result.status, said).toBe(2);
    expect(result.stdout, said).toBe("");
    expect(result.stderr, said).toMatch(/^cr: USAGE: /);
    expect(result.stderr, said).toMatch(message);
    expect(result.stderr, said).toMatch(/\ncr: next: .+\n$/);
    expect(result.stderr, said).not.toMatch(/^\s+at /m);
  });

  test("nothing at all: the help page, on standard error", async () => {
    const result = await cr([]);
    expect(result.status).toBe(2);
    expect(result.stderr).toMatch(/^Usage: cr/);
  });
});

/** A target that `act` looks at; it must be alive at the end. */
async function withTarget(act: (scene: Scene, pid: string) => Promise<void>): Promise<void> {
  await withScene(async (scene) => {
    const target = await scene.start([fixture("calls"), "FOLDER"]);
    await target.says("ready");
    await act(scene, String(target.pid));
    expect(isAlive(target) && runsFreely(target)).toBe(true);
  });
}

describe("variables", () => {
  test.concurrent("stand for flags", () =>
    withTarget(async (scene, pid) => {
      const env = { CR_JSON: "1", CR_OUTPUT: join(scene.folder, "other") };
      const result = await scene.cr(["checkpoint", pid], { env });
      expect(result.status, describeResult(result)).toBe(0);
      expect(jsonOf(result).core).toBe(env.CR_OUTPUT);
      const flag = await scene.cr(["checkpoint", pid, "-o", join(scene.folder, "mine")], { env });
      expect(jsonOf(flag).core).toBe(join(scene.folder, "mine"));
      const again = await scene.cr(["checkpoint", pid], { env: { ...env, CR_FORCE: "yes" } });
      expect(again.status, describeResult(again)).toBe(0);
    }));

  test.concurrent("that say no are heeded: CR_KILL=0 kills nobody", () =>
    withTarget(async (scene, pid) => {
      for (const no of ["0", "", "false", "No"]) {
        const result = await scene.cr(["checkpoint", pid, "--force"], { env: { CR_KILL: no, CR_JSON: no } });
        expect(result.status, describeResult(result)).toBe(0);
        expect(result.stdout).toMatch(/^saved calls .*; it goes on$/m);
      }
    }));

  test.concurrent("are checked like flags", async () => {
    const result = await cr(["checkpoint", "1"], { env: { CR_TIMEOUT: "soon" } });
    expect(result.status, describeResult(result)).toBe(2);
    expect(result.stderr).toMatch(/CR_TIMEOUT/);
  });
});

describe("--json", () => {
  test.concurrent("tells failures as one object, with code, message, next step and facts", async () => {
    const result = await cr(["checkpoint", "--json", "2"]);
    expect(result.status).toBe(1);
    expect(result.stderr).toBe("");
    expect(jsonOf(result)).toEqual({
      error: { code: "UNSUPPORTED_PROCESS", message: expect.any(String), hint: expect.any(String) },
    });
  });

  test.concurrent("on standard error where standard output would be the program's", async () => {
    const foreground = await cr(["restore", "--json", "/nowhere"]);
    expect(foreground.status).toBe(125);
    expect(foreground.stdout).toBe("");
    expect(JSON.parse(foreground.stderr)).toMatchObject({ error: { code: "CORE_UNREADABLE" } });
    const detached = await cr(["restore", "--json", "--detach", "/nowhere"]);
    expect(detached.status).toBe(1);
    expect(jsonOf(detached)).toMatchObject({ error: { code: "CORE_UNREADABLE" } });
  });
});

/** The modules that a run of cr loads from this repository and its packages, by what V8 covered: of a file of the bundle, all. */
async function modulesOf(args: readonly string[]): Promise<string[]> {
  const modules: string[] = [];
  await withScene(async (scene) => {
    const env = { ...process.env, NODE_V8_COVERAGE: scene.folder };
    execFileSync(process.execPath, [CR, ...args], { env, stdio: "ignore" });
    for (const name of readdirSync(scene.folder)) {
      const { result } = JSON.parse(readFileSync(join(scene.folder, name), "utf8")) as {
        result: { url: string }[];
      };
      modules.push(...result.map(({ url }) => url).filter((url) => url.startsWith("file:")));
    }
  });
  return modules.flatMap((url) => BUNDLED[url.split("/dist/bundle/")[1] ?? ""] ?? url);
}

describe("a light start", () => {
  test("cr --version loads a handful of modules", async () => {
    const result = await cr(["--version"]);
    expect(result.stdout).toBe(`${VERSION}\n`);
    const modules = await modulesOf(["--version"]);
    expect(modules.filter((url) => url.includes("dist/")).length).toBeLessThan(10);
    expect(modules).toContain("dist/cli/run.js");
    expect(modules.filter((url) => /ffi-rs|schema|cron|elfy/.test(url))).toEqual([]);
  });

  test("a verb loads what it needs, and a checkpoint never loads the validator", async () => {
    const explain = await modulesOf(["explain", "USAGE"]);
    expect(explain.filter((url) => /ffi-rs|schema|cron|elfy|\/tracee\/|\/restore\//.test(url))).toEqual([]);
    await withTarget(async (scene, pid) => {
      const modules = await modulesOf(["checkpoint", pid, "-o", join(scene.folder, "core")]);
      expect(modules.some((url) => url.includes("/tracee/"))).toBe(true);
      expect(modules.filter((url) => /\/schema\.js|\/cron\/|\/restore\/|\/supervise\//.test(url))).toEqual(
        [],
      );
    });
  });
});
