/**
 * Capabilities by name (capabilities(7)), and which of them are in effect for `cr` itself. What a capability
 * buys is said where it is needed.
 */
import { statusLine } from "./process-status.js";
import { inFirstUserNamespace } from "./user-namespaces.js";

/** Names in the order of their bits (include/uapi/linux/capability.h). */
export const CAPABILITY_NAMES = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
] as const;

export type CapabilityName = (typeof CAPABILITY_NAMES)[number];

/** The names of the bits set in a capability mask; a bit newer than this list is named by its number. */
export function capabilityNames(mask: bigint): readonly string[] {
  return capabilityBits(mask).map((bit) => CAPABILITY_NAMES[bit] ?? `CAP_${bit}`);
}

/** The numbers of the bits set in a capability mask, ascending. */
export function capabilityBits(mask: bigint): readonly number[] {
  const bits: number[] = [];
  for (let bit = 0; mask >> BigInt(bit) > 0n; bit += 1) {
    if ((mask >> BigInt(bit)) & 1n) bits.push(bit);
  }
  return bits;
}

/** The effective capabilities of a process as a mask; 0 when it cannot be read. */
export function effectiveCapabilities(pid: number | "self" = "self"): bigint {
  return BigInt(`0x${statusLine(pid, "CapEff") ?? "0"}`);
}

/** True when `cr` itself has the capability in effect. */
export function hasCapability(name: CapabilityName): boolean {
  return ((effectiveCapabilities() >> BigInt(CAPABILITY_NAMES.indexOf(name))) & 1n) === 1n;
}

/** The same for what the kernel asks of the whole host: capabilities of a user namespace do not count (capabilities(7)). */
export function hasHostCapability(name: CapabilityName): boolean {
  return hasCapability(name) && inFirstUserNamespace();
}
