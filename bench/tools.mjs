// The tools that are compared: how each is called, what it leaves, which version it is. A tool that is not on this machine
// is named with what would bring it, never left out in silence. CRIU and DMTCP are taken as they are found on PATH.
import { execFile, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const CR = fileURLToPath(new URL("../bin/cr", import.meta.url));
const CR_MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const MEASURE = fileURLToPath(new URL("bin/measure", import.meta.url));

/**
 * Every tool: `checkpoint(pid, core)` is its command line, and `core` the file or folder it leaves; `core` ends in `.PID`.
 * `folder`: it wants the folder to be there. `under(folder)`: the command a program must have been started under.
 */
export const TOOLS = [
  {
    name: "cr",
    checkpoint: (pid, core) => [...crCommand("checkpoint"), String(pid), "-o", core, "--json"],
    version: () => `cr ${firstLine(process.execPath, [CR, "--version"])}`,
    missing: () => (existsSync(CR_MAIN) ? null : "dist/ is missing: npm run build"),
  },
  {
    name: "gcore",
    checkpoint: (pid, core) => ["gcore", "-o", core.slice(0, core.lastIndexOf(".")), String(pid)],
    version: () => `gcore of ${firstLine("gdb", ["--version"])}`,
    missing: () => (firstLine("gdb", ["--version"]) ? null : "gcore is not on PATH: apt-get install gdb"),
  },
  {
    name: "criu",
    folder: true,
    checkpoint: (pid, core) => ["criu", "dump", "-t", String(pid), "-D", core, "--leave-running", "-v0"],
    version: () => `CRIU ${firstLine("criu", ["--version"])}`,
    missing: () => (firstLine("criu", ["--version"]) ? null : "criu is not on PATH"),
  },
  {
    name: "dmtcp",
    folder: true,
    under: (folder) => [
      ...["dmtcp_launch", "--quiet", "--new-coordinator", "--coord-port", "0"],
      ...["--port-file", `${folder}/dmtcp.port`, "--no-gzip"],
    ],
    checkpoint: (_pid, core) => [
      ...["sh", "-c", 'dmtcp_command --quiet --coord-port "$(cat "$1")" --ckptdir "$2" --bcheckpoint', "sh"],
      ...[`${core.slice(0, core.lastIndexOf("/"))}/dmtcp.port`, core],
    ],
    version: () => firstLine("dmtcp_launch", ["--version"]),
    missing: () => (firstLine("dmtcp_launch", ["--version"]) ? null : "dmtcp_launch is not on PATH"),
  },
];

/** `cr` with a verb, by this Node. */
export function crCommand(verb) {
  return [process.execPath, CR, verb];
}

/** `cr restore`, in the background, of a core. */
export function restoreCommand(core, ...flags) {
  return [...crCommand("restore"), core, "--detach", "--json", ...flags];
}

/** Whether a verb of this cr has a flag: `--lazy` of a later version, say. */
export function hasFlag(verb, flag) {
  const [command, ...args] = crCommand(verb);
  return new RegExp(`${flag}\\b`).test(spawnSync(command, [...args, "--help"], { encoding: "utf8" }).stdout);
}

/** Runs a command to its end: wall and processor time in ms, peak memory in bytes, its output. Throws if it fails. */
export async function runMeasured(command, folder, env = process.env) {
  const result = `${folder}/measured.json`;
  const { stdout, stderr } = await promisify(execFile)(MEASURE, [result, ...command], {
    maxBuffer: 1 << 26,
    env,
  });
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
