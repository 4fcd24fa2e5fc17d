/**
 * What every verb says on success and failure: one JSON object with --json, plain sentences otherwise, and an
 * exit status (0 done, 1 failed, 2 wrong usage, 125 where a program's own status is passed through).
 */
import { writeSync } from "node:fs";
import { styleText } from "node:util";
import type { CommanderError } from "commander";
import { isErrno, knownError } from "../errors.js";

export interface ReportOptions {
  /** One object on standard output instead of text. */
  readonly json?: boolean | undefined;
  /** Exit status of a failure of cr itself: 1, or 125 for verbs that pass a program's status through. */
  readonly failureStatus?: 1 | 125;
}

/** Runs a verb's action and turns whatever it throws into one clear message and an exit status. */
export async function runVerb(options: ReportOptions, action: () => Promise<void> | void): Promise<void> {
  try {
    await action();
  } catch (error) {
    reportError(error, options);
    process.exitCode = options.failureStatus ?? (isUsage(error) ? 2 : 1);
  }
}

/** Standard output and standard error. */
export type Output = 1 | 2;

/** Those that did not take all at once: the rest is on its way, and everything else goes behind it. */
const slow = new Set<Output>();

/**
 * Writes text at once. Node's streams do so, too, after 2 ms of making them: they are for who does not take it. What nobody
 * reads any more is not told: what was done is done.
 */
export function write(text: string, output: Output = 1): void {
  let rest: Uint8Array = Buffer.from(text);
  try {
    while (rest.length > 0 && !slow.has(output)) rest = rest.subarray(writeSync(output, rest));
  } catch (error) {
    if (isErrno(error, "EPIPE")) return;
    if (!isErrno(error, "EAGAIN")) throw error;
    slow.add(output);
    streamOf(output).on("error", unlessGone);
  }
  if (rest.length > 0) streamOf(output).write(rest);
}

function streamOf(output: Output): NodeJS.WriteStream {
  return output === 1 ? process.stdout : process.stderr;
}

function unlessGone(error: Error): void {
  if (!isErrno(error, "EPIPE")) throw error;
}

/** Prints the object with --json, with bigint as hex strings. */
export function printJson(value: unknown, output: Output = 1): void {
  const text = JSON.stringify(value, (_key, item) =>
    typeof item === "bigint" ? `0x${item.toString(16)}` : item,
  );
  write(`${text}\n`, output);
}

/** A line of news for a person: standard error, so that standard output stays the result's. */
export function say(line: string): void {
  write(`cr: ${line}\n`, 2);
}

/** Tells one error: code and message, then the next step. Unknown errors are defects and say so. */
export function reportError(error: unknown, options: ReportOptions): void {
  const known = knownError(error);
  if (options.json) {
    const { code, message, hint, data } = known;
    // Where the status is the program's, standard output is, too.
    const output = options.failureStatus === 125 ? 2 : 1;
    printJson({ error: { code, message, ...(hint && { hint }), ...(data && { data }) } }, output);
    return;
  }
  say(`${paint("red", known.code)}: ${known.message}`);
  if (known.hint) say(`${paint("bold", "next")}: ${known.hint}`);
  if (process.env.CR_DEBUG) console.error(error);
}

/** Wrong usage, as commander found it: message and exit status 2. */
export function failUsage(error: CommanderError): void {
  const message = error.message.replace(/^error: /, "");
  if (message !== "(outputHelp)") say(`${paint("red", "USAGE")}: ${message}`);
  say(`${paint("bold", "next")}: see cr --help`);
  process.exitCode = 2;
}

function isUsage(error: unknown): boolean {
  return knownError(error).code === "USAGE";
}

function paint(style: "red" | "bold", text: string): string {
  const plain = process.env.NO_COLOR || !process.stderr.isTTY;
  return plain ? text : styleText(style, text);
}
