/**
 * The resource limits cr itself has (/proc/self/limits) and the host's own bounds, which a program that it
 * starts cannot exceed without CAP_SYS_RESOURCE.
 */
import { readFileSync } from "node:fs";
import type { Rlimit } from "../state/process.js";
import { readSys, readText } from "./sysfs.js";

/** RLIM_INFINITY of getrlimit(2). */
export const UNLIMITED = 0xffff_ffff_ffff_ffffn;

/** Resources by number (asm-generic/resource.h), named as in setrlimit(2) without RLIMIT_. */
// biome-ignore format: in the kernel's order, in rows
export const RESOURCE_NAMES = [
  "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING",
  "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
] as const;

/** All limits of this process. */
export function ownLimits(): readonly Rlimit[] {
  return parseLimits(readFileSync("/proc/self/limits", "utf8"));
}

/** Parses a /proc/PID/limits (proc_pid_limits(5)): a title, then a line a resource in the order of their numbers. */
export function parseLimits(text: string): readonly Rlimit[] {
  const value = (word: string) => (word === "unlimited" ? UNLIMITED : BigInt(word));
  return text
    .split("\n")
    .slice(1, 1 + RESOURCE_NAMES.length)
    .flatMap((line, resource) => {
      const [, soft, hard] = /^.{25} (\w+)\s+(\w+)/.exec(line) ?? [];
      return soft && hard ? [{ resource, soft: value(soft), hard: value(hard) }] : [];
    });
}

/** The most descriptors that RLIMIT_NOFILE may allow anybody (proc_sys_fs(5)). */
export function openFilesMax(): bigint {
  return BigInt(readSys("/proc/sys/fs/nr_open") ?? "1048576");
}

/** The own oom_score_adj; less than it needs CAP_SYS_RESOURCE (proc_pid_oom_score_adj(5)). */
export function ownOomScoreAdj(): number {
  return Number(readText("/proc/self/oom_score_adj") ?? "0");
}
