// Loads dist/bundle (build/bundle.mjs), the modules of cr joined into a few files with V8's bytecode beside each. V8 itself
// refuses bytecode of another version or other flags and compiles instead, so that a newer Node is slower, not wrong.
const { readFileSync, statSync } = require("node:fs");
const { dirname, join } = require("node:path");
const { Script } = require("node:vm");

const BYTECODE = ".bytecode";
const ENTRY = "run.js";
const DIST = join(__dirname, "../dist");
const FOLDER = join(DIST, "bundle");
const loaded = new Map();

/** Whether there is a bundle, of the modules that are there: not so after a build of the modules alone. */
function isCurrent() {
  const [bundle, modules] = [join(FOLDER, ENTRY), join(DIST, "cli/run.js")].map((path) =>
    statSync(path, { throwIfNoEntry: false }),
  );
  return bundle !== undefined && modules !== undefined && bundle.mtimeMs >= modules.mtimeMs;
}

/**
 * A file of the bundle as a script with every function in it compiled, which else happens at its first call: perhaps while
 * a program stands. Bytecode is that of V8's usual flags, and is refused where others are set.
 */
function compile(code, { filename, cachedData }) {
  const script = cachedData && new Script(code, { filename, cachedData });
  if (script && !script.cachedDataRejected) return script;
  // Not before it is needed: it brings streams and two dozen modules more.
  const { setFlagsFromString } = require("node:v8");
  setFlagsFromString("--no-lazy");
  try {
    return new Script(code, { filename });
  } finally {
    setFlagsFromString("--lazy");
  }
}

/** What a file of the bundle exports; the others it asks for are loaded the same way. The files are ASCII, a function each. */
function load(name) {
  const known = loaded.get(name);
  if (known !== undefined) return known.exports;
  const filename = join(FOLDER, name);
  const script = compile(readFileSync(filename, "latin1"), {
    filename,
    cachedData: bytecodeOf(filename),
  });
  const module = { exports: {} };
  loaded.set(name, module);
  script.runInThisContext()(module.exports, request, module, filename, FOLDER);
  return module.exports;
}

function bytecodeOf(filename) {
  try {
    return readFileSync(filename + BYTECODE);
  } catch {
    return undefined;
  }
}

/** What a file of the bundle requires: another one, something of Node, or what belongs to a package that is in the bundle. */
function request(id) {
  if (id.startsWith("./")) return load(id.slice(2));
  if (id.startsWith("node:")) return require(id);
  try {
    return require(id);
  } catch (error) {
    if (error.code !== "MODULE_NOT_FOUND") throw error;
    return require(require.resolve(id, { paths: [dirname(require.resolve("ffi-rs"))] }));
  }
}

module.exports = { BYTECODE, ENTRY, compile, isCurrent, load };
