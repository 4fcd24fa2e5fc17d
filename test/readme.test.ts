/** What README and the docs promise is there: packages, commands, verbs, links, and an example that runs. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { VERBS } from "../src/cli/program.js";
import { PROGRAMS } from "./e2e/program-list.js";
import { eventually } from "./harness/eventually.js";
import { killHard } from "./harness/process.js";
import { withScene } from "./harness/scene.js";
import { fixture } from "./harness/target.js";
import { ROOT } from "./tidy/sources.js";

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const README = read("README.md");
const CI = read(".ci/run");
const DOCS = [
  "README.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  ...readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
/** Part of every Debian (priority required, essential: yes). */
const ESSENTIAL = ["coreutils", "gzip"];
/** Named as a requirement of its own, not as a package. */
const REQUIRED = ["nodejs"];

const packages = /^apt-get install -y --no-install-recommends (.+)$/m.exec(README)?.[1] ?? "";

describe("README and .ci/run", () => {
  test("name the same packages, those of all test programs among them", () => {
    expect(packages).not.toBe("");
    expect(/^packages="(.+)"$/m.exec(CI)?.[1]).toBe(packages);
    const named = [...packages.split(" "), ...ESSENTIAL, ...REQUIRED];
    expect(PROGRAMS.map((program) => program.package).filter((name) => !named.includes(name))).toEqual([]);
  });

  test("have the same test command, the last one of .ci/run, which is executable", () => {
    expect(README).toMatch(/^npm ci && npm test$/m);
    expect(CI.trimEnd().split("\n").at(-1)).toBe("npm ci && npm test");
    expect(statSync(join(ROOT, ".ci/run")).mode & 0o111).toBe(0o111);
  });
});

test("every script that the docs name is one", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const named = DOCS.flatMap((path) => [...read(path).matchAll(/\bnpm (?:run (\w+)|(test))\b/g)]);
  expect(named.length).toBeGreaterThan(3);
  expect(named.map((match) => match[1] ?? match[2]).filter((name) => !(name && name in scripts))).toEqual([]);
});

test.each(Object.keys(VERBS))("README tells of cr %s", (verb) => {
  expect(README).toMatch(new RegExp(`\\bcr ${verb}\\b`));
});

test.each(DOCS)("links of %s lead somewhere", (path) => {
  const text = read(path);
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? "");
  const local = targets.filter((target) => !/^https?:/.test(target));
  expect(local.filter((target) => !leadsSomewhere(path, target))).toEqual([]);
});

/** A file that exists, and a heading of it where the link names one. */
function leadsSomewhere(from: string, target: string): boolean {
  const [file = "", anchor] = target.split("#");
  const path = file === "" ? join(ROOT, from) : resolve(ROOT, dirname(from), file);
  if (!existsSync(path)) return false;
  if (anchor === undefined) return true;
  const headings = [...readFileSync(path, "utf8").matchAll(/^#+ (.+)$/gm)].map((match) => match[1] ?? "");
  return headings.some((heading) => slug(heading) === anchor);
}

function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, "")
    .replaceAll(" ", "-");
}

test("the library example runs", () =>
  withScene(async (scene) => {
    const code = /```js\n([\s\S]*?)```/.exec(README)?.[1] ?? "";
    const entry = pathToFileURL(join(ROOT, "dist/index.js")).href;
    const script = join(scene.folder, "example.mjs");
    writeFileSync(script, code.replace('from "recore"', `from "${entry}"`));
    const target = await scene.start([fixture("counter"), "FOLDER", "1000000"]);
    await target.says("\n3\n");
    // Started as a program of its own, and not by us: only its output matters here.
    const example = await scene.start([process.execPath, script, String(target.pid)]);
    await example.says("it runs again as process");
    expect(await example.ended()).toBe("exited 0");
    expect(example.output()).toMatch(
      /^counter stood still for [\d.]+ ms and is gone\nit had \d+ mappings and 3 descriptors\nit runs again as process \d+\n$/,
    );
    const life = scene.adopt(target.pid);
    const before = target.output().length;
    await eventually("it counts on", () => target.output().length > before);
    await killHard(life);
  }));
