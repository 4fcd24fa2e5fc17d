/** Settings of the kernel (sysctl) that open something to ordinary users, or leave room, one check each. */
import type { Ability } from "./ability.js";
import { hasCapability } from "./capabilities.js";
import { readSys } from "./sysfs.js";
import { userNamespaces } from "./user-namespaces.js";

/** PID_MAX_LIMIT of a 64-bit kernel (include/linux/threads.h). */
const PIDS_MAX = 4_194_304;

/** User namespaces for `--pid ns`. */
export function userNamespacesOpen(): Ability {
  const { state, why, next } = userNamespaces();
  const found =
    state === "open" ? "open to all users" : `${state === "off" ? "off" : "for root only"} (${why})`;
  const check = {
    name: "user namespaces",
    found,
    buys: "restore under the recorded pid without root (--pid ns)",
  };
  return state === "open" ? { ...check, state: "ok" } : { ...check, state: "warn", next };
}

/** userfaultfd(2): without rights only for faults of user code. */
export function userfaults(): Ability {
  const open = readSys("/proc/sys/vm/unprivileged_userfaultfd");
  const check = { name: "page faults", buys: "page faults that the kernel causes, handled by cr" };
  if (hasCapability("CAP_SYS_PTRACE"))
    return { ...check, found: "userfaultfd by CAP_SYS_PTRACE", state: "ok" };
  const found = `vm.unprivileged_userfaultfd is ${open ?? "missing"}`;
  if (open === "1") return { ...check, found, state: "ok" };
  return { ...check, found, state: "warn", next: "sudo sysctl vm.unprivileged_userfaultfd=1" };
}

/** The highest pid, which a core of another host may exceed. */
export function pidRoom(): Ability {
  const most = Number(readSys("/proc/sys/kernel/pid_max") ?? PIDS_MAX);
  const check = { name: "pids", found: `up to ${most}`, buys: "any pid that a program of another host had" };
  if (most >= PIDS_MAX) return { ...check, state: "ok" };
  return { ...check, state: "warn", next: `sudo sysctl kernel.pid_max=${PIDS_MAX}` };
}
