// Loads dist/bundle (build/bundle.mjs), the modules of cr joined into a few files with V8's bytecode beside each. V8 itself
// refuses bytecode of another version or other flags and compiles instead, so that a newer Node is slower, not wrong.
const { existsSync, readFileSync, statSync } = require("node:fs");
const { dirname, join } = require("node:path");
const { setFlagsFromString } = require("node:v8");
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
 * a program stands. Bytecode has been compiled without this flag of V8's, and is refused where it is set.
 */
function compile(code, { filename, cachedData }) {
  const wrapped = `(function (exports, require, module, __filename, __dirname) {${code}\n})`;
  setFlagsFromString("--lazy");
  const script = cachedData && new Script(wrapped, { filename, cachedData });
  if (script && !script.cachedDataRejected) return script;
  setFlagsFromString("--no-lazy");
  try {
    return new Script(wrapped, { filename });
  } finally {
    setFlagsFromString("--lazy");
  }
}

/** What a file of the bundle exports; the others it asks for are loaded the same way. */
function load(name) {
  const known = loaded.get(name);
  if (known !== undefined) return known.exports;
  const filename = join(FOLDER, name);
  const bytecode = filename + BYTECODE;
  const cachedData = existsSync(bytecode) ? readFileSync(bytecode) : undefined;
  const script = compile(readFileSync(filename, "utf8"), { filename, cachedData });
  const module = { exports: {} };
  loaded.set(name, module);
  script.runInThisContext()(module.exports, request, module, filename, FOLDER);
  return module.exports;
}

/** What a file of the bundle requires: another one, something of Node, or what belongs to a package that is in the bundle. */
function request(id) {
  if (id.startsWith("./")) return load(id.slice(2));
  if (id.startsWith("node:")) return require(id);
  return require(require.resolve(id, { paths: [__dirname, dirname(require.resolve("ffi-rs"))] }));
}

module.exports = { BYTECODE, ENTRY, compile, isCurrent, load };
