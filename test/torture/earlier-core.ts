/** Whether the core under the final name outlived a killed checkpoint: the earlier one untouched, or a new one whole. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { CR } from "./tool.js";

/** A core under its final name, as it was at one moment. */
export interface EarlierCore {
  readonly path: string;
  readonly ino: bigint;
  readonly digest: string;
}

/** Remembers the core that is there now. */
export function rememberCore(path: string): EarlierCore {
  const digest = createHash("sha1").update(readFileSync(path)).digest("hex");
  return { path, ino: statSync(path, { bigint: true }).ino, digest };
}

/** Null when the core is the earlier one to the byte or a new whole one, else what was lost. */
export function findLoss(earlier: EarlierCore, now: EarlierCore, verifies: boolean): string | null {
  if (now.ino === earlier.ino) {
    return now.digest === earlier.digest ? null : "the earlier core was written over in place";
  }
  if (!verifies) return null;
  const run = spawnSync(process.execPath, [CR, "verify", now.path], { encoding: "utf8" });
  return run.status === 0 ? null : `the new core does not verify: ${run.stderr.trim()}`;
}
