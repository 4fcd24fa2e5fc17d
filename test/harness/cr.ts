/**
 * Runs the command under test, bin/cr, as a user would: a process of its own with its own standard streams.
 * Knows nothing of targets; scenes (scene.ts) start it through here and own what it leaves behind.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

const CR = fileURLToPath(new URL("../../bin/cr", import.meta.url));

/** Numeric id of user and group nobody on Debian. */
export const NOBODY = 65534;

export interface CrOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Runs cr as nobody instead of root. */
  readonly asNobody?: boolean;
  /** Kills cr after this time in ms; its result then has signal SIGKILL. */
  readonly timeoutMs?: number;
  /** A command that cr is the last argument of, such as `prlimit --fsize=4096`. */
  readonly under?: readonly string[];
}

export interface CrResult {
  /** Exit status, null when a signal ended cr. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCr {
  readonly pid: number;
  readonly stdin: Writable;
  readonly done: Promise<CrResult>;
}

/** Starts cr with piped standard streams. */
export function spawnCr(args: readonly string[], options: CrOptions = {}): RunningCr {
  const identity = options.asNobody ? { uid: NOBODY, gid: NOBODY } : {};
  const [command = CR, ...rest] = [...(options.under ?? []), CR, ...args];
  const child = spawn(command, rest, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1", ...options.env },
    cwd: options.cwd,
    timeout: options.timeoutMs ?? 60_000,
    killSignal: "SIGKILL",
    ...identity,
  });
  // Whoever reads it may end first; that is not the test's concern.
  child.stdin.on("error", () => {});
  return { pid: child.pid ?? 0, stdin: child.stdin, done: collect(child) };
}

function collect(child: ChildProcessByStdio<Writable, Readable, Readable>): Promise<CrResult> {
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    // `exit`, not `close`: a program that goes on without cr may hold the streams.
    child.once("exit", (status, signal) => setTimeout(() => resolve({ status, signal, stdout, stderr }), 20));
  });
}

/** The one object that a verb printed for --json. */
export function jsonOf(result: CrResult): Record<string, unknown> {
  const lines = result.stdout.trim().split("\n");
  try {
    return JSON.parse(lines.at(-1) ?? "") as Record<string, unknown>;
  } catch {
    throw new Error(`no JSON on standard output:\n${result.stdout}\nstandard error:\n${result.stderr}`);
  }
}

/** How a result reads in a failed assertion. */
export function describeResult(result: CrResult): string {
  return `status ${result.status} signal ${result.signal}\nstdout: ${result.stdout}\nstderr: ${result.stderr}`;
}
