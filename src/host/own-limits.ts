/**
 * The resource limits and the scheduling rights cr itself has (/proc/self/limits, /proc/sys/fs/nr_open), which a
 * program that it starts cannot exceed without CAP_SYS_RESOURCE.
 */
import { readFileSync } from "node:fs";
import type { Rlimit } from "../state/process.js";

/** RLIM_INFINITY of getrlimit(2). */
export const UNLIMITED = 0xffff_ffff_ffff_ffffn;

/** Resources by number (asm-generic/resource.h), with the names of setrlimit(2). */
export const RESOURCE_NAMES = [
  "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING",
  "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
] as const; // biome-ignore format: in the kernel's order

/** All limits of this process. */
export function ownLimits(): Rlimit[] {
  return parseLimits(readFileSync("/proc/self/limits", "utf8"));
}

/** Parses a /proc/PID/limits: a title, then one line a resource, in the order of their numbers. */
export function parseLimits(text: string): Rlimit[] {
  const value = (word: string) => (word === "unlimited" ? UNLIMITED : BigInt(word));
  return text
    .split("\n")
    .slice(1, 1 + RESOURCE_NAMES.length)
    .flatMap((line, resource) => {
      const [, soft, hard] = /^.{25} (\w+)\s+(\w+)/.exec(line) ?? [];
      return soft && hard ? [{ resource, soft: value(soft), hard: value(hard) }] : [];
    });
}

/** The most descriptors that RLIMIT_NOFILE may allow at all (proc_sys_fs(5)). */
export function openFilesMax(): bigint {
  return BigInt(readFileSync("/proc/sys/fs/nr_open", "utf8").trim());
}

/** The own oom_score_adj; lowering it needs CAP_SYS_RESOURCE (proc_pid_oom_score_adj(5)). */
export function ownOomScoreAdj(): number {
  return Number(readFileSync("/proc/self/oom_score_adj", "utf8"));
}
