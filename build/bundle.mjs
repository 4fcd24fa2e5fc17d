// Joins the modules of dist/ into a few files, dist/bundle, each with V8's bytecode beside it: most of a short run of `cr`
// was finding, reading and compiling two hundred modules. bin/cr loads it (bin/bundle.js); dist/ itself stays what the library
// exports. The folder is made aside and renamed, so that code and bytecode always belong together.
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const { BYTECODE, compile, ENTRY } = createRequire(import.meta.url)("../bin/bundle.js");
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const DIST = join(ROOT, "dist");
const FOLDER = join(DIST, "bundle");
const ASIDE = `${FOLDER}.${process.pid}`;

/**
 * ffi-rs asks Node for a whole diagnostic report, 4 ms, to learn which C library it runs on: its library for the usual one,
 * which it loads next, can be loaded with no other.
 */
const quickFfi = {
  name: "quick-ffi",
  transform(code, id) {
    if (!id.endsWith("/ffi-rs/index.js")) return null;
    const report = /const \{ glibcVersionRuntime \} = process\.report\.getReport\(\)\.header\n/;
    if (!report.test(code)) throw new Error("ffi-rs does not ask for a report any more: drop quick-ffi");
    return code.replace(
      report,
      `let glibcVersionRuntime = true
       try { require("@yuuang/ffi-rs-linux-x64-gnu") } catch { glibcVersionRuntime = false }\n`,
    );
  },
};

/**
 * Modules of Node that are not loaded at its own start and seldom used: asked for where they are used instead of at the top.
 * Together they are 4 ms.
 */
const SELDOM =
  /^\s*(?:let|const|var) (\w+) = require\("((?:node:)?(?:assert|child_process|readline|timers\/promises|tty|v8|vm))"\);$/gm;

function lateRequires(code) {
  let late = code;
  for (const [line, name, id] of code.matchAll(SELDOM)) {
    late = late.replace(line, "");
    const whole = new RegExp(`.*(?<![\\w$."])${name}(?![\\w$."]| = require).*`).exec(late);
    if (whole) throw new Error(`${id} is asked for as a whole: ${whole[0]}`);
    late = late.replaceAll(new RegExp(`(?<![\\w$."])${name}\\.`, "g"), `require("${id}").`);
  }
  return late;
}

/** Text of one byte a character is read and kept without being decoded. */
function inAscii(code) {
  return code.replace(
    /[^\0-\x7f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** What modules name by their own place must be found from the place of the bundle, too: one folder below dist, as they are. */
function requireNeighbours(code) {
  for (const [, path] of code.matchAll(/new URL\("(\.[^"]*)"/g)) {
    if (!existsSync(join(FOLDER, path))) throw new Error(`${path} is not there seen from ${FOLDER}`);
  }
}

/** Modules that are loaded with this one, itself among them. */
function loadedWith(path, graph) {
  const found = new Set();
  const visit = (id) => {
    if (found.has(id)) return;
    found.add(id);
    graph.getModuleInfo(id)?.importedIds.forEach(visit);
  };
  visit(join(DIST, path));
  return found;
}

/**
 * The file of the bundle that a module stands in, where that is not left to rolldown: what every run needs, what a checkpoint and
 * a restore have in common, and what reads cores, each in one file instead of many small ones.
 */
const fileOf = (() => {
  const roots = ["cli/run.js", "checkpoint/checkpoint.js", "supervise/restore-on.js", "core/read-core.js"];
  let sets = null;
  return (id, graph) => {
    sets ??= roots.map((path) => loadedWith(path, graph));
    const [always, checkpoint, restore, reading] = sets;
    if (always.has(id)) return "always";
    if (checkpoint.has(id)) return restore.has(id) ? "either" : null;
    return reading.has(id) ? "reading" : null;
  };
})();

try {
  const bundle = await rolldown({
    input: { [ENTRY]: join(DIST, "cli/run.js") },
    platform: "node",
    external: [/^node:/, /^@yuuang\//, /\.node$/],
    plugins: [quickFfi],
    logLevel: "warn",
  });
  const { output } = await bundle.write({
    dir: ASIDE,
    format: "cjs",
    entryFileNames: "[name]",
    chunkFileNames: "[name].js",
    codeSplitting: { groups: [{ name: fileOf, debugName: "together" }] },
    // Some are for tools, none for V8, which keeps the text.
    comments: { legal: true, annotation: false, jsdoc: false },
  });
  for (const { fileName, code } of output) {
    requireNeighbours(code);
    const file = join(ASIDE, fileName);
    const parameters = "exports, require, module, __filename, __dirname";
    const wrapped = `(function (${parameters}) {${inAscii(lateRequires(code))}\n})`;
    writeFileSync(file, wrapped);
    // The name in stack traces is that of the final place.
    const script = compile(wrapped, { filename: join(FOLDER, fileName) });
    writeFileSync(file + BYTECODE, script.createCachedData());
  }
  const modules = output.map(({ fileName, moduleIds }) => [
    fileName,
    moduleIds.map((id) => relative(ROOT, id)),
  ]);
  writeFileSync(join(ASIDE, "modules.json"), JSON.stringify(Object.fromEntries(modules), null, 1));
  rmSync(FOLDER, { recursive: true, force: true });
  renameSync(ASIDE, FOLDER);
} finally {
  rmSync(ASIDE, { recursive: true, force: true });
}
