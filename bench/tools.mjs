// The tools that are compared: how each is called, where it leaves its core, which version it is.
// A tool that is not on this machine is named with what would bring it, never left out in silence.
import { execFile, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const CR = fileURLToPath(new URL("../bin/cr", import.meta.url));
const CR_MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const MEASURE = fileURLToPath(new URL("bin/measure", import.meta.url));

/** Every tool: `checkpoint(pid, core)` is its command line; `core` ends in `.PID`. */
export const TOOLS = [
  {
    name: "cr",
    checkpoint: (pid, core) => [process.execPath, CR, "checkpoint", String(pid), "-o", core, "--json"],
    version: () => `cr ${firstLine(process.execPath, [CR, "--version"])}`,
    missing: () => (existsSync(CR_MAIN) ? null : "dist/ is missing: npm run build"),
  },
  {
    name: "gcore",
    checkpoint: (pid, core) => ["gcore", "-o", core.slice(0, core.lastIndexOf(".")), String(pid)],
    version: () => `gcore of ${firstLine("gdb", ["--version"])}`,
    missing: () => (firstLine("gdb", ["--version"]) ? null : "gcore is not on PATH: apt-get install gdb"),
  },
];

/** `cr restore`, in the background, of a core. */
export function restoreCommand(core) {
  return [process.execPath, CR, "restore", core, "--detach", "--json"];
}

/** Runs a command to its end: wall and processor time in ms, peak memory in bytes, its output. Throws if it fails. */
export async function runMeasured(command, folder) {
  const result = `${folder}/measured.json`;
  const { stdout, stderr } = await promisify(execFile)(MEASURE, [result, ...command], { maxBuffer: 1 << 26 });
  const measured = JSON.parse(readFileSync(result, "utf8"));
  if (measured.exitStatus !== 0) {
    throw new Error(`${command.join(" ")}: exit status ${measured.exitStatus}\n${stdout}${stderr}`);
  }
  return { ...measured, output: stdout };
}

function firstLine(command, args) {
  const run = spawnSync(command, args, { encoding: "utf8" });
  return run.status === 0 ? (run.stdout.split("\n")[0] ?? "") : "";
}
