/**
 * The rules of the house that a machine can check (CONTRIBUTING.md): who may import whom, sizes, names, and that
 * docs and code say the same. Each failure names the file and the rule.
 */
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { ERROR_TABLE } from "../src/error-table.js";
import { VERSION } from "../src/version.js";
import { cFunctions, type FoundFunction, typescriptFunctions } from "./tidy/functions.js";
import { importsOf, ROOT, readSources, type Source } from "./tidy/sources.js";

const src = readSources("src", ".ts").filter(({ path }) => !path.endsWith(".d.ts"));
const native = readSources("native", ".c", ".h");
const tests = readSources("test", ".ts");
const fixtures = [...readSources("fixtures", ".c", ".h"), ...readSources("test", ".c", ".h")];
const all = [...src, ...native, ...tests, ...fixtures];

const LINES_MAX = 250;
const FUNCTION_LINES_MAX = 70;
const PARAMETERS_MAX = 3;

/** Folders of src and the folders each may import; a folder may always import itself and the files of `BASE`. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  cli: ["supervise", "checkpoint", "restore", "store", "cpus", "core", "tracee", "host", "state"],
  supervise: ["checkpoint", "restore", "store", "cpus", "core", "tracee", "host", "state"],
  checkpoint: ["core", "tracee", "host", "state"],
  restore: ["core", "tracee", "host", "state"],
  store: ["core", "tracee", "state"],
  cpus: ["core", "tracee", "state"],
  core: ["state"],
  tracee: ["state"],
  host: ["state"],
  state: [],
};
const BASE = ["src/errors.ts", "src/error-table.ts", "src/fault.ts", "src/file-bytes.ts", "src/version.ts"];

/** The files that may import a package; a folder where several may. */
const PACKAGES: Readonly<Record<string, RegExp>> = {
  "ffi-rs": /^src\/tracee\/native\.ts$/,
  elfy: /^src\/core\//,
  commander: /^src\/cli\//,
  cron: /^src\/supervise\//,
  "zod/mini": /^src\/state\/schema\.ts$/,
  "zod/locales": /^src\/state\/schema\.ts$/,
};

function folderOf(path: string): string {
  return path.split("/")[1] ?? "";
}

/** Lists what is wrong, one line a fault: an empty list is the only good one. */
function expectNone(faults: readonly string[]): void {
  expect(faults.join("\n")).toBe("");
}

describe("imports", () => {
  test("run one way, and siblings never meet", () => {
    const allowed = (from: string, to: string): boolean =>
      BASE.includes(to) ||
      folderOf(from) === folderOf(to) ||
      (LAYERS[folderOf(from)] ?? []).includes(folderOf(to));
    const inner = src.filter(({ path }) => path !== "src/index.ts");
    expectNone(
      inner.flatMap((source) =>
        importsOf(source)
          .filter((to) => to.startsWith("src/") && !allowed(source.path, to))
          .map((to) => `${source.path} must not import ${to}`),
      ),
    );
    expectNone(
      inner
        .filter(({ path }) => !BASE.includes(path) && !(folderOf(path) in LAYERS))
        .map(({ path }) => `${path} is in no layer`),
    );
  });

  test("have no cycles", () => {
    const graph = new Map(src.map((source) => [source.path, importsOf(source)]));
    const done = new Set<string>();
    const visit = (path: string, trail: readonly string[]): string[] => {
      if (trail.includes(path)) return [[...trail.slice(trail.indexOf(path)), path].join(" -> ")];
      if (done.has(path)) return [];
      const cycles = (graph.get(path) ?? []).flatMap((next) => visit(next, [...trail, path]));
      done.add(path);
      return cycles;
    };
    expectNone([...graph.keys()].flatMap((path) => visit(path, [])));
  });

  test("of packages stand where they belong, one file a package but for commander", () => {
    const used = src.flatMap((source) => importsOf(source).map((name) => ({ name, path: source.path })));
    const packages = used.filter(({ name }) => !name.startsWith("src/") && !name.startsWith("node:"));
    expectNone(
      packages
        .filter(({ name, path }) => !PACKAGES[name]?.test(path))
        .map(({ name, path }) => `${path} must not import ${name}`),
    );
    for (const name of Object.keys(PACKAGES).filter((one) => one !== "commander")) {
      const importers = new Set(packages.filter((one) => one.name === name).map((one) => one.path));
      expect([...importers], `importers of ${name}`).toHaveLength(1);
    }
  });

  test("only tracee and host read /proc and /sys", () => {
    const others = src.filter(({ path }) => !["tracee", "host"].includes(folderOf(path)));
    // Asking whether a name begins so reads nothing.
    const read = /(?<!\.startsWith\()["'`]\/(?:proc|sys)(?:\/|["'`])/;
    expectNone(others.filter(({ code }) => read.test(code)).map(({ path }) => path));
  });
});

describe("sizes", () => {
  test(`no file is over ${LINES_MAX} lines`, () => {
    const lengths = all.map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }));
    expectNone(
      lengths.filter(({ lines }) => lines > LINES_MAX).map(({ path, lines }) => `${path} has ${lines} lines`),
    );
  });

  const functions = new Map<Source, readonly FoundFunction[]>(
    all.map((source) => [
      source,
      (source.path.endsWith(".ts") ? typescriptFunctions : cFunctions)(source.bare),
    ]),
  );

  test("functions are found at all", () => {
    const byName = [...functions.values()].flat().map(({ name }) => name);
    expect(byName).toEqual(expect.arrayContaining(["watch", "checkpoint", "folderOf", "cr_seize", "main"]));
  });

  test(`no function is over ${FUNCTION_LINES_MAX} lines`, () => {
    expectNone(
      [...functions].flatMap(([source, found]) =>
        found
          // The callback of a describe block is a chapter, not a function.
          .filter(({ line }) => !/\bdescribe[.(]/.test(source.text.split("\n")[line - 1] ?? ""))
          .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
          .map(({ name, line, lines }) => `${source.path}:${line} ${name} has ${lines} lines`),
      ),
    );
  });

  test(`no TypeScript function has more than ${PARAMETERS_MAX} positional parameters`, () => {
    expectNone(
      [...functions].flatMap(([{ path }, found]) =>
        found
          .filter(({ parameters }) => path.endsWith(".ts") && parameters > PARAMETERS_MAX)
          .map(({ name, line, parameters }) => `${path}:${line} ${name} has ${parameters} parameters`),
      ),
    );
  });
});

describe("manners", () => {
  test("every file opens with a comment", () => {
    expectNone(all.filter(({ text }) => !/^\/[*/]/.test(text)).map(({ path }) => path));
  });

  test("every exported function says what it is for", () => {
    const pattern = /(\*\/\n)?^export (?:async )?function\*? (\w+)/gm;
    const silent = src.flatMap(({ path, text }) =>
      [...text.matchAll(pattern)]
        .filter((match) => match[1] === undefined)
        .map((match) => `${path}: ${match[2]}`),
    );
    expectNone(silent.filter((one) => !one.endsWith(": register")));
  });

  test("no file has a name that says nothing", () => {
    const empty = /^(?:utils?|helpers?|common|types?|misc|lib)$/;
    expectNone(
      all.filter(({ path }) => empty.test(basename(path).replace(/\..*/, ""))).map(({ path }) => path),
    );
  });

  test("there are no default exports in src", () => {
    expectNone(
      src.filter(({ bare }) => /\bexport\s+default\b|\bas\s+default\b/.test(bare)).map(({ path }) => path),
    );
  });

  test("nothing is put off", () => {
    const later = /\b(?:TO[D]O|FI[X]ME|X[X]X)\b/;
    expectNone(all.filter(({ text }) => later.test(text)).map(({ path }) => path));
  });

  test("no test is skipped or singled out", () => {
    const held = /\b(?:describe|test|it)(?:\.\w+)*\.(?:skip|only|todo|fails|skipIf|runIf)\b/;
    expectNone(tests.filter(({ bare }) => held.test(bare)).map(({ path }) => path));
  });
});

describe("docs", () => {
  test("errors.md has each code of the table with its paragraph, in the same order", () => {
    const text = readFileSync(join(ROOT, "docs/errors.md"), "utf8");
    const chapters = [...text.matchAll(/^## (\w+)\n\n(.*)\n/gm)].map((match) => [match[1], match[2]]);
    expect(chapters).toEqual(Object.entries(ERROR_TABLE));
  });

  test("cr --version says the version of the package", () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
    expect(VERSION).toBe(version);
  });
});
