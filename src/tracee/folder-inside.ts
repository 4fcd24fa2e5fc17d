/** A folder in the mounts that another process sees. */
import { mkdirSync } from "node:fs";
import { pathInside } from "./maps.js";

/** Makes it. Throws errno errors. */
export function makeFolder(pid: number, path: string): void {
  mkdirSync(pathInside(pid, path));
}
