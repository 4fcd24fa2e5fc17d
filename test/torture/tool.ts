/**
 * The tool under torture: `cr checkpoint`, or a stand-in that shows that the torture can fail, given as
 * CR_TORTURE_TOOL="gdb|--nx|--batch|-p|{pid}|-ex|gcore {folder}/core.{pid}", words parted by bars.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The launcher of the built command. */
export const CR = fileURLToPath(new URL("../../bin/cr", import.meta.url));

/** True when a stand-in is under torture; its cores are not expected to pass `cr verify`. */
export const IS_STAND_IN = process.env.CR_TORTURE_TOOL !== undefined;

/** The command that writes the core of `pid` to `<folder>/core.<pid>`, over an earlier one; in a way of `--mode`. */
export function checkpointCommand(pid: number, folder: string, way?: string): string[] {
  const standIn = process.env.CR_TORTURE_TOOL;
  if (standIn === undefined) {
    return [
      process.execPath,
      CR,
      "checkpoint",
      String(pid),
      "-o",
      corePath(pid, folder),
      "--force",
      ...(way ? ["--mode", way] : []),
    ];
  }
  return standIn.split("|").map((word) => word.replace("{folder}", folder).replace("{pid}", String(pid)));
}

/** Where that command leaves the core. */
export function corePath(pid: number, folder: string): string {
  return `${folder}/core.${pid}`;
}

/** Throws when the command has not been built. */
export function requireBuilt(): void {
  const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
  if (!existsSync(main)) throw new Error("dist/ is missing: npm run build");
}
