/**
 * Whether ordinary users may make user namespaces on this host (user_namespaces(7)), and the setting that allows it.
 * The kernel's answer is the truth; this is for hints and for `cr doctor`.
 */
import { readSys, readText } from "./sysfs.js";

export interface UserNamespaces {
  readonly state: "open" | "root only" | "off";
  /** The setting that forbids them, as it stands. */
  readonly why: string;
  /** What allows them. */
  readonly next: string;
}

/** Settings of Linux, Debian and Ubuntu, in the order in which they forbid. */
export function userNamespaces(): UserNamespaces {
  if (Number(readSys("/proc/sys/user/max_user_namespaces") ?? 0) === 0) {
    return forbidden("off", "user.max_user_namespaces", ["0", "10000"]);
  }
  if (readSys("/proc/sys/kernel/unprivileged_userns_clone") === "0") {
    return forbidden("root only", "kernel.unprivileged_userns_clone", ["0", "1"]);
  }
  if (readSys("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") === "1") {
    return forbidden("root only", "kernel.apparmor_restrict_unprivileged_userns", ["1", "0"]);
  }
  return { state: "open", why: "", next: "" };
}

function forbidden(
  state: UserNamespaces["state"],
  setting: string,
  [is, should]: [string, string],
): UserNamespaces {
  return { state, why: `${setting} is ${is}`, next: `sudo sysctl ${setting}=${should}` };
}

/** True in the first user namespace, where capabilities hold for the whole host. */
export function inFirstUserNamespace(): boolean {
  const map = readText("/proc/self/uid_map");
  return map === undefined || /^\s*0\s+0\s+4294967295\s*$/.test(map);
}
