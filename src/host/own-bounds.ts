/** Bounds of this host and of cr itself that a program started by cr cannot exceed without capabilities. */
import { readSys, readText } from "./sysfs.js";

/** The most descriptors that RLIMIT_NOFILE may allow anybody (proc_sys_fs(5)). */
export function openFilesMax(): bigint {
  return BigInt(readSys("/proc/sys/fs/nr_open") ?? "1048576");
}

/** The own oom_score_adj; less than it needs CAP_SYS_RESOURCE (proc_pid_oom_score_adj(5)). */
export function ownOomScoreAdj(): number {
  return Number(readText("/proc/self/oom_score_adj") ?? "0");
}
