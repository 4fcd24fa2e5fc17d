/**
 * `cr doctor`: what works on this host, what each ability buys, and the next command for what is missing. Exit
 * status 1 only when programs of one's own cannot be checkpointed and restored at all.
 */
import { styleText } from "node:util";
import { type Command, Option } from "commander";
import { CrError } from "../errors.js";
import { hostAbilities } from "../host/abilities.js";
import type { Ability } from "../host/ability.js";
import { loadNative } from "../tracee/native.js";
import { printJson, runVerb, write } from "./report.js";

export function register(program: Command): void {
  program
    .command("doctor")
    .description("say what works on this host and what the rest needs")
    .addOption(new Option("--json", "one JSON object on standard output").env("CR_JSON"))
    .action((options: { json?: boolean }) => runVerb(options, () => doctor(options.json ?? false)));
}

function doctor(json: boolean): void {
  const checks = [nativeLibrary(), ...hostAbilities()];
  const ok = checks.every((check) => check.state !== "no");
  if (json) printJson({ ok, checks });
  else printTable(checks);
  if (!ok) process.exitCode = 1;
}

function nativeLibrary(): Ability {
  const check = { name: "native library", buys: "checkpoint and restore" };
  try {
    loadNative();
    return { ...check, state: "ok", found: "libcr.so loads" };
  } catch (error) {
    if (!(error instanceof CrError)) throw error;
    return { ...check, state: "no", found: error.message, next: "npm run build" };
  }
}

function printTable(checks: readonly Ability[]): void {
  const nameWidth = Math.max(...checks.map((check) => check.name.length));
  for (const check of checks) {
    const mark = paint(check.state, check.state.padEnd(4));
    write(`${mark}  ${check.name.padEnd(nameWidth)}  ${check.found}\n`);
    if (check.state === "ok") continue;
    const indent = " ".repeat(nameWidth + 8);
    write(`${indent}buys: ${check.buys}\n${indent}next: ${check.next ?? ""}\n`);
  }
}

function paint(state: Ability["state"], text: string): string {
  if (process.env.NO_COLOR || !process.stdout.isTTY) return text;
  return styleText(({ ok: "green", warn: "yellow", no: "red" } as const)[state], text);
}
