/** Who cr itself is: ids, groups and capability sets of /proc/self/status (credentials(7), proc_pid_status(5)). */
import { readFileSync } from "node:fs";
import type { Credentials } from "../state/credentials.js";

/** Without securebits, which only prctl(2) tells. */
export type OwnCredentials = Omit<Credentials, "securebits">;

/** The credentials of this process. */
export function ownCredentials(): OwnCredentials {
  return parseStatus(readFileSync("/proc/self/status", "utf8"));
}

/** Parses the text of a /proc/PID/status. */
export function parseStatus(status: string): OwnCredentials {
  const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1]?.trim() ?? "";
  const numbers = (name: string) => field(name).split(/\s+/).filter(Boolean).map(Number);
  const four = (name: string) => {
    const [real = 0, effective = 0, saved = 0, fs = 0] = numbers(name);
    return { real, effective, saved, fs };
  };
  const mask = (name: string) => BigInt(`0x${field(name) || "0"}`);
  return {
    uid: four("Uid"),
    gid: four("Gid"),
    groups: numbers("Groups"),
    capabilities: {
      inheritable: mask("CapInh"),
      permitted: mask("CapPrm"),
      effective: mask("CapEff"),
      bounding: mask("CapBnd"),
      ambient: mask("CapAmb"),
    },
  };
}
