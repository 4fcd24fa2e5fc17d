/**
 * What each capability buys, whether cr has it, and the command that lends it to cr: a launcher that root starts and
 * that becomes the user again, with the one capability as an ambient one (capabilities(7)). Never a capability of
 * the file node: every script on the machine would have it.
 */
import type { Ability } from "./ability.js";
import { type CapabilityName, hasCapability } from "./capabilities.js";

/** By capability: the name of the check and what works with it. */
const BUYS: readonly (readonly [CapabilityName, string, string])[] = [
  ["CAP_SYS_PTRACE", "tracing others", "checkpoint of other users' and of set-uid programs"],
  [
    "CAP_SYS_ADMIN",
    "suspending filters",
    "programs with seccomp filters; time namespaces; --pid ns without a user namespace",
  ],
  [
    "CAP_SYS_RESOURCE",
    "raising limits",
    "programs with higher hard limits or a lower oom_score_adj than cr has",
  ],
  ["CAP_SYS_NICE", "raising priority", "programs with real-time policies, or a nice value below that of cr"],
  ["CAP_NET_ADMIN", "network settings", "sockets with options that only an administrator may set"],
];

/** One check a capability; `same pid` is apart, since the kernel's age counts there, too. */
export function capabilityChecks(): readonly Ability[] {
  return BUYS.map(([capability, name, buys]) => {
    const held = hasCapability(capability);
    const check = { name, found: `${capability} ${held ? "held" : "missing"}`, buys };
    return held ? { ...check, state: "ok" } : { ...check, state: "warn", next: launcherFor(capability) };
  });
}

/** The command under which cr has the capability; what follows it is the call of cr. */
export function launcherFor(capability: CapabilityName): string {
  const uid = process.geteuid?.() ?? 0;
  const name = capability.slice("CAP_".length).toLowerCase();
  // Root lacks it because whoever started him took it away.
  if (uid === 0) return `docker run --cap-add ${name.toUpperCase()} ...`;
  const who = `--reuid ${uid} --regid ${process.getegid?.() ?? uid} --init-groups`;
  return `sudo setpriv ${who} --inh-caps +${name} --ambient-caps +${name} cr ...`;
}
