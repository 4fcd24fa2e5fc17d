/**
 * Why the kernel would not let `cr` trace a process, told from this host's settings (ptrace(2), "Ptrace access
 * mode checking"; Documentation/admin-guide/LSM/Yama.rst). Used for hints only: the kernel's answer is the truth.
 */
import { effectiveCapabilities, hasCapability } from "./capabilities.js";
import { statusLine } from "./process-status.js";
import { readSys } from "./sysfs.js";
import { userName } from "./user.js";

/** kernel.yama.ptrace_scope: 0 own processes, 1 own descendants, 2 CAP_SYS_PTRACE, 3 nobody; undefined without Yama. */
export function yamaScope(): 0 | 1 | 2 | 3 | undefined {
  const text = readSys("/proc/sys/kernel/yama/ptrace_scope");
  const scope = Number(text);
  return text !== undefined && (scope === 0 || scope === 1 || scope === 2 || scope === 3) ? scope : undefined;
}

/** One sentence for the hint of NOT_PERMITTED: the likely reason for `pid` on this host, and what to do. */
export function explainTraceDenied(pid: number): string {
  const scope = yamaScope();
  if (scope === 3) {
    return "kernel.yama.ptrace_scope is 3: tracing is off on this machine until it is booted without that setting";
  }
  if (hasCapability("CAP_SYS_PTRACE")) {
    return "cr has CAP_SYS_PTRACE, so a security module or a sandbox forbids it: see dmesg and the container's seccomp profile";
  }
  const owner = foreignOwner(pid);
  if (owner !== undefined) {
    return `process ${pid} belongs to ${userName(owner)}: run cr as that user or with sudo`;
  }
  if (scope === 1 || scope === 2) {
    return `kernel.yama.ptrace_scope is ${scope}: run cr with sudo, or allow it with: sudo sysctl kernel.yama.ptrace_scope=0`;
  }
  const extra = effectiveCapabilities(pid) & ~effectiveCapabilities();
  if (extra !== 0n) return `process ${pid} has capabilities that cr lacks: run cr with sudo`;
  return `process ${pid} is not dumpable (set-uid, or it asked for that by prctl): run cr with sudo`;
}

/** The uid that is not the caller's among real, effective and saved; all three must match to be traced. */
function foreignOwner(pid: number): number | undefined {
  const own = process.geteuid?.() ?? 0;
  const uids = (statusLine(pid, "Uid") ?? "").split(/\s+/).slice(0, 3).map(Number);
  return uids.find((uid) => uid !== own);
}
