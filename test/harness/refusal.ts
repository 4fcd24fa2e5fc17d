/** What every refusal must look like: an exit status, one message with a code, one next step, nothing else. */
import { readdirSync } from "node:fs";
import { expect } from "vitest";
import type { ErrorCode } from "../../src/errors.js";
import { type CrResult, describeResult } from "./cr.js";

/** The status of a verb that fails itself, and of one that passes a program's status through. */
export const FAILED = 1;
export const FAILED_FOREGROUND = 125;

/** Expects exactly one of the codes, told as `cr: CODE: message` and `cr: next: hint`, and silence on stdout. */
export function expectRefusal(
  result: CrResult,
  {
    codes,
    status = FAILED,
    names,
  }: { codes: readonly ErrorCode[]; status?: number; names?: string | RegExp },
): void {
  const said = describeResult(result);
  expect(result.status, said).toBe(status);
  expect(result.stdout, said).toBe("");
  const lines = result.stderr.trimEnd().split("\n");
  const [, code, message] = lines.at(-2)?.match(/^cr: ([A-Z_]+): (.+)$/) ?? [];
  expect(codes, said).toContain(code);
  expect(message, said).not.toMatch(/[.!]$/);
  expect(lines.at(-1), said).toMatch(/^cr: next: .{8,}/);
  expect(said).not.toMatch(/^\s+at .+:\d+/m);
  if (names !== undefined) expect(message).toMatch(names);
}

/** Names in a folder, hidden ones too: equal before and after what must leave nothing behind. */
export function listing(folder: string): string[] {
  return readdirSync(folder).sort();
}
