/**
 * Small text files under /sys and /proc/sys. They are looked up below `CR_SYSFS_ROOT` when that is set, so that
 * tests can show hardware and settings this machine does not have. /proc/PID is never redirected.
 */
import { readFileSync } from "node:fs";

/** Where a /sys or /proc/sys path is on this host. */
export function sysPath(path: `/sys/${string}` | `/proc/sys/${string}`): string {
  return `${process.env.CR_SYSFS_ROOT ?? ""}${path}`;
}

/** The file's text without the last line break; undefined when it is missing or not readable. */
export function readSys(path: Parameters<typeof sysPath>[0]): string | undefined {
  return readText(sysPath(path));
}

/** The text of any small file without the last line break; undefined when it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").replace(/\n$/, "");
  } catch {
    // Missing, hidden by hidepid or not permitted: the caller says what that means for it.
    return undefined;
  }
}
