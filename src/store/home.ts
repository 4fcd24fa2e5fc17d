/** Where jobs live: $CR_HOME, else /var/lib/recore for root, else the user's state folder (XDG base directories). */
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { CrError } from "../errors.js";

/** The folder of all jobs, as an absolute path; it need not exist. */
export function homeFolder(env: NodeJS.ProcessEnv = process.env, uid = process.geteuid?.() ?? 0): string {
  if (env.CR_HOME) return resolve(env.CR_HOME);
  if (uid === 0) return "/var/lib/recore";
  return join(env.XDG_STATE_HOME || join(homedir(), ".local/state"), "recore");
}

/** Makes a folder and those above it, for its owner only: cores hold memory, hence secrets. OUTPUT_FAILED. */
export function makePrivateFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CrError("OUTPUT_FAILED", `making the folder ${folder}: ${reason}`, {
      hint: "name a folder you can write to: CR_HOME=/path/to/jobs",
      cause: error,
    });
  }
}
