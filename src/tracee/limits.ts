/** Resource limits of a process, from /proc/PID/limits: prlimit(2) would need rights over the process. */

import type { Rlimit } from "../state/process.js";
import { readProcFile } from "./proc-file.js";

/** Names of /proc/PID/limits in the order of the RLIMIT_ numbers (asm-generic/resource.h). */
const NAMES = [
  "Max cpu time",
  "Max file size",
  "Max data size",
  "Max stack size",
  "Max core file size",
  "Max resident set",
  "Max processes",
  "Max open files",
  "Max locked memory",
  "Max address space",
  "Max file locks",
  "Max pending signals",
  "Max msgqueue size",
  "Max nice priority",
  "Max realtime priority",
  "Max realtime timeout",
];
const INFINITY_VALUE = (1n << 64n) - 1n;

/** All limits of a process, by resource number. */
export function readLimits(pid: number): Rlimit[] {
  return parseLimits(readProcFile(`/proc/${pid}/limits`));
}

/** Parses the table of /proc/PID/limits; lines with unknown names are left out. */
export function parseLimits(text: string): Rlimit[] {
  return text.split("\n").flatMap((line) => {
    const resource = NAMES.indexOf(line.slice(0, 25).trimEnd());
    if (resource < 0) return [];
    const [soft = "0", hard = "0"] = line.slice(25).trim().split(/\s+/);
    return [{ resource, soft: value(soft), hard: value(hard) }];
  });
}

function value(text: string): bigint {
  return text === "unlimited" ? INFINITY_VALUE : BigInt(text);
}
