/**
 * The bundle that bin/cr runs (build/bundle.mjs, bin/bundle.js): V8 takes the bytecode made for it, and where bytecode is
 * spoilt or the modules are newer than the bundle, cr is slower and otherwise the same.
 */
import { execFileSync } from "node:child_process";
import { cpSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { VERSION } from "../../src/version.js";
import { withScene } from "../harness/scene.js";
import { ROOT } from "../tidy/sources.js";

function node(...args: readonly string[]): string {
  return execFileSync(process.execPath, args, { encoding: "utf8" });
}

/** What an installation consists of, to be spoilt. */
async function withCopy(use: (copy: string) => void): Promise<void> {
  await withScene(async ({ folder }) => {
    for (const name of ["bin", "dist", "package.json"]) {
      cpSync(join(ROOT, name), join(folder, name), { recursive: true, preserveTimestamps: true });
    }
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    use(folder);
  });
}

/** Whether bin/cr of an installation would take the bundle. */
function isCurrent(folder: string): boolean {
  return node("-p", `require("${folder}/bin/bundle.js").isCurrent()`) === "true\n";
}

test("V8 takes the bytecode of every file", () => {
  const refused = node(
    "-p",
    `const { BYTECODE, compile } = require("${ROOT}/bin/bundle.js");
     const { readdirSync, readFileSync } = require("node:fs");
     const folder = "${ROOT}/dist/bundle/";
     const files = readdirSync(folder).filter((name) => name.endsWith(".js"));
     const isRefused = (name) => compile(readFileSync(folder + name, "utf8"), {
       filename: folder + name, cachedData: readFileSync(folder + name + BYTECODE) }).cachedDataRejected !== false;
     files.length > 10 ? files.filter(isRefused).join() : "no bundle"`,
  );
  expect(refused).toBe("\n");
});

test("bytecode that is spoilt is compiled anew", async () => {
  await withCopy((folder) => {
    const bundle = join(folder, "dist/bundle");
    const bytecode = readdirSync(bundle).filter((name) => name.endsWith(".bytecode"));
    for (const name of bytecode) writeFileSync(join(bundle, name), "no bytecode");
    expect(isCurrent(folder)).toBe(true);
    expect(node(join(folder, "bin/cr"), "--version")).toBe(`${VERSION}\n`);
  });
});

test("a bundle that is older than the modules is left alone", async () => {
  await withCopy((folder) => {
    const later = Date.now() / 1000 + 60;
    utimesSync(join(folder, "dist/cli/run.js"), later, later);
    writeFileSync(join(folder, "dist/bundle/run.js"), "throw new Error('taken')");
    expect(isCurrent(folder)).toBe(false);
    expect(node(join(folder, "bin/cr"), "--version")).toBe(`${VERSION}\n`);
  });
});
