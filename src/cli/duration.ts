/** Durations, counts and rates on the command line; a wrong one is wrong usage (exit status 2). */
import { InvalidArgumentError } from "commander";

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `500ms`, `5s`, `1.5m`, `1h`, `2d` as whole milliseconds. The unit is required: a bare 30 could mean either. */
export function parseDurationMs(text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text.trim());
  const ms = Math.round(Number(match?.[1]) * (UNIT_MS[match?.[2] ?? ""] ?? Number.NaN));
  if (ms > 0) return ms;
  throw new InvalidArgumentError("write a time above zero with its unit, like 500ms, 5s, 2m or 1h.");
}

const UNIT_BYTES: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** `200M`, `1.5G`, `512K`: bytes (of 1024 by 1024), of what is written in a second. The unit is required. */
export function parseBytes(text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(K|M|G)(?:i?B)?$/.exec(text.trim());
  const bytes = Math.round(Number(match?.[1]) * (UNIT_BYTES[match?.[2] ?? ""] ?? Number.NaN));
  if (bytes > 0) return bytes;
  throw new InvalidArgumentError("write an amount above zero with its unit, like 512K, 200M or 1.5G.");
}

/** A whole number of at least 1. */
export function parseCount(text: string): number {
  const count = /^\d{1,9}$/.test(text.trim()) ? Number(text) : 0;
  if (count >= 1) return count;
  throw new InvalidArgumentError("write a whole number of at least 1.");
}

/** A pid. */
export function parsePid(text: string): number {
  const pid = /^\d{1,10}$/.test(text.trim()) ? Number(text) : 0;
  if (pid >= 1 && pid <= 0x7fff_ffff) return pid;
  throw new InvalidArgumentError("write a pid, a whole number of at least 1.");
}
