/** Which boot of which machine this is: start times and cores of a process only mean something within it. */
import { hostname as osHostname } from "node:os";
import { readSys } from "./sysfs.js";

/** Ticks a second of the times in /proc/PID/stat: USER_HZ, part of the x86 ABI (asm-generic/param.h). */
export const CLOCK_TICKS_PER_SECOND = 100;

/** Random id of this boot, a UUID; empty where /proc/sys is hidden. */
export function bootId(): string {
  return readSys("/proc/sys/kernel/random/boot_id") ?? "";
}

/** The host's name. */
export function hostName(): string {
  return osHostname();
}
