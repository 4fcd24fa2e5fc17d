/** The clocks that count from boot, as a process sees them in its time namespace (time_namespaces(7)). */
import { readlinkSync } from "node:fs";
import { isErrno } from "../errors.js";
import { readProcFile } from "./proc-file.js";

/** CLOCK_MONOTONIC and CLOCK_BOOTTIME in ns. */
export interface BootClocks {
  readonly monotonicNs: bigint;
  readonly boottimeNs: bigint;
}

/** /proc/uptime shows hundredths of a second. */
const UPTIME_STEP_NS = 10_000_000n;

/** What a time namespace adds to the clocks; zero where the kernel has none, or the process is in the first one. */
export function readTimeOffsets(pid: number | "self"): BootClocks {
  return parseTimeOffsets(offsetsText(pid));
}

/** Lines such as `monotonic  -5  250000000`: seconds, and nanoseconds that are never negative. */
export function parseTimeOffsets(text: string): BootClocks {
  const of = (clock: string): bigint => {
    const [, seconds = "0", nanoseconds = "0"] =
      text.match(new RegExp(`^${clock}\\s+(-?\\d+)\\s+(\\d+)$`, "m")) ?? [];
    return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
  };
  return { monotonicNs: of("monotonic"), boottimeNs: of("boottime") };
}

function offsetsText(pid: number | "self"): string {
  try {
    return readProcFile(`/proc/${pid}/timens_offsets`);
  } catch (error) {
    if (isErrno(error, "ENOENT", "EACCES")) return "";
    throw error;
  }
}

/** The clocks of the first time namespace now, whichever one we are in; the second is up to 10 ms ahead. */
export function hostClocks(): BootClocks {
  const own = readTimeOffsets("self");
  const uptime = Number(readProcFile("/proc/uptime").split(" ")[0]);
  const boottimeNs = BigInt(Math.round(uptime * 100)) * UPTIME_STEP_NS + UPTIME_STEP_NS;
  return {
    monotonicNs: process.hrtime.bigint() - own.monotonicNs,
    boottimeNs: boottimeNs - own.boottimeNs,
  };
}

/** True when the children of a process would live in another time namespace than itself (unshare(2)). */
export function timeOfChildrenDiffers(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/time`) !== readlinkSync(`/proc/${pid}/ns/time_for_children`);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw error;
  }
}
