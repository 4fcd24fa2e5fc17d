/**
 * CLOCK_MONOTONIC and CLOCK_BOOTTIME of the restored program: they never go back. On the same boot they go on by
 * themselves; where the host was up for less time than the program has seen, it gets a time namespace of its own in
 * which they go on from the checkpoint (time_namespaces(7)).
 */
import { CrError } from "../errors.js";
import { hasCapability } from "../host/capabilities.js";
import type { ProcessState } from "../state/process.js";
import { type BootClocks, hostClocks, readTimeOffsets } from "../tracee/clocks.js";

const SECOND = 1_000_000_000n;

export interface ClockContext {
  /** The boot of the checkpoint is this one. */
  readonly sameBoot: boolean;
  /** The clocks of the first time namespace, and what ours adds to them. */
  readonly host: BootClocks;
  readonly own: BootClocks;
  /** CAP_SYS_ADMIN and CAP_SYS_TIME. */
  readonly mayShift: boolean;
}

/**
 * The lines for /proc/PID/timens_offsets of a new time namespace, empty when our own will do. Throws NOT_PERMITTED
 * when one is needed that we may not make.
 */
export function planClocks({ clocks }: Pick<ProcessState["host"], "clocks">, context: ClockContext): string {
  if (clocks === undefined) return "";
  const { host, own, sameBoot, mayShift } = context;
  const needed = {
    monotonicNs: shift(clocks.monotonicNs, sameBoot ? clocks.hostMonotonicNs : host.monotonicNs, sameBoot),
    boottimeNs: shift(clocks.boottimeNs, sameBoot ? clocks.hostBoottimeNs : host.boottimeNs, sameBoot),
  };
  if (needed.monotonicNs === own.monotonicNs && needed.boottimeNs === own.boottimeNs) return "";
  if (!sameBoot && needed.monotonicNs <= own.monotonicNs && needed.boottimeNs <= own.boottimeNs) return "";
  if (!mayShift) throw notPermitted(needed.monotonicNs - own.monotonicNs);
  return `monotonic ${timespec(needed.monotonicNs)}\nboottime ${timespec(needed.boottimeNs)}\n`;
}

/** What has to be added to a clock of the host so that the program's goes on. */
function shift(seen: bigint, hostNs: bigint, sameBoot: boolean): bigint {
  const difference = seen - hostNs;
  return sameBoot || difference > 0n ? difference : 0n;
}

/** Seconds, rounded down, and nanoseconds. */
function timespec(ns: bigint): string {
  const rest = ((ns % SECOND) + SECOND) % SECOND;
  return `${(ns - rest) / SECOND} ${rest}`;
}

function notPermitted(aheadNs: bigint): CrError {
  const seconds = aheadNs / SECOND;
  const found = `its monotonic clock was ${seconds < 0n ? -seconds : seconds} s ${seconds < 0n ? "behind" : "ahead of"} that of this host`;
  const message = `restore the program: ${found}, and cr may not make a time namespace for it`;
  return new CrError("NOT_PERMITTED", message, {
    hint: "run cr as root (CAP_SYS_ADMIN and CAP_SYS_TIME), or in a time namespace: unshare --time --monotonic …",
  });
}

/** The same for this host as it is. */
export function clocksHere(recorded: ProcessState["host"], sameBoot: boolean): string {
  return planClocks(recorded, {
    sameBoot,
    host: hostClocks(),
    own: readTimeOffsets("self"),
    mayShift: hasCapability("CAP_SYS_ADMIN") && hasCapability("CAP_SYS_TIME"),
  });
}
