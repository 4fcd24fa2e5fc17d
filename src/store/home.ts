/** Where jobs live: $CR_HOME, else /var/lib/recore for root, else the user's state folder (XDG base directories). */
import { existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { CrError, isErrno } from "../errors.js";

/** The folder of all jobs, as an absolute path; it need not exist. */
export function homeFolder(env: NodeJS.ProcessEnv = process.env, uid = process.geteuid?.() ?? 0): string {
  if (env.CR_HOME) return resolve(env.CR_HOME);
  if (uid === 0) return "/var/lib/recore";
  return join(env.XDG_STATE_HOME || join(homedir(), ".local/state"), "recore");
}

/** Makes a folder and those above it, for its owner only: cores hold memory, hence secrets. OUTPUT_FAILED. */
export function makePrivateFolder(folder: string): void {
  if (existsSync(folder)) return;
  if (dirname(folder) !== folder) makePrivateFolder(dirname(folder));
  try {
    // One level at a time: Node's own `recursive` never returns where mkdir gives ENOENT below an existing
    // folder, as in /proc.
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (isErrno(error, "EEXIST")) return;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CrError("OUTPUT_FAILED", `making the folder ${folder}: ${reason}`, {
      hint: "name a folder you can write to: CR_HOME=/path/to/jobs",
      cause: error,
    });
  }
}
