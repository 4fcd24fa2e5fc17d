/**
 * The stage of `cr demo`: a temporary folder, programs that are no children of this process, and `cr` itself run as
 * a user would run it. When it is left, by whatever way, every process it started is gone and so is the folder.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ERROR_TABLE } from "../error-table.js";
import { CrError, type ErrorCode } from "../errors.js";
import { isAlive, type ProcessIdentity, processStatus } from "../host/process-status.js";
import { failed, type Telling } from "./demo-telling.js";

const NANNY = fileURLToPath(new URL("../../native/demo/nanny", import.meta.url));
const CR = fileURLToPath(new URL("../../bin/cr", import.meta.url));
const POLL_MS = 20;
const PATIENCE_MS = 60_000;
/** How long `cr` gets to end by itself when the stage is cleared. */
const END_MS = 3_000;

/** A program on the stage. */
export interface Actor extends ProcessIdentity {
  /** File of its standard output. */
  readonly output: string;
  /** Settles when it has ended and its pid is free, with its exit status; above 128 for a signal. */
  readonly ended: Promise<number>;
}

export interface RunningCr {
  readonly done: Promise<CrEnd>;
  /** How it ended; null while it runs. */
  end(): CrEnd | null;
  /** What it said so far. */
  readonly said: { stdout: string; stderr: string };
}

export interface CrEnd {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Stage {
  readonly folder = mkdtempSync(join(tmpdir(), "recore-demo-"));
  readonly #signal: AbortSignal;
  readonly #programs: ProcessIdentity[] = [];
  readonly #nannies: ChildProcess[] = [];
  readonly #tools: ChildProcess[] = [];

  /** `signal` ends every wait on the stage. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Starts a program with files as its standard streams. */
  async start(argv: readonly string[], files: { input?: string; output: string }): Promise<Actor> {
    const nanny = spawn(NANNY, [files.input ?? "/dev/null", files.output, ...argv], {
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, BC_LINE_LENGTH: "0" },
    });
    this.#nannies.push(nanny);
    const ended = once(nanny, "exit").then(([status]) => Number(status));
    let text = "";
    nanny.stdout.on("data", (bytes: Buffer) => {
      text += bytes.toString();
    });
    const pid = await this.until("a program starts", () => Number(/^(\d+)\n/.exec(text)?.[1]) || undefined);
    return { ...this.adopt(pid), output: files.output, ended };
  }

  /** Takes a process that `cr` restored under its care. */
  adopt(pid: number): ProcessIdentity {
    const identity = { pid, startTicks: processStatus(pid)?.startTicks ?? 0n };
    this.#programs.push(identity);
    return identity;
  }

  /** Starts `cr` with `--json`; `onEvent` gets each object it prints. Variables of the caller do not reach it. */
  cr(args: readonly string[], onEvent: (event: Record<string, unknown>) => void = () => {}): RunningCr {
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith("CR_"));
    const child = spawn(process.execPath, [CR, ...args, "--json"], {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...Object.fromEntries(own), CR_HOME: this.folder },
    });
    this.#tools.push(child);
    const said = { stdout: "", stderr: "" };
    let end: CrEnd | null = null;
    createInterface(child.stdout).on("line", (line) => {
      said.stdout += `${line}\n`;
      onEvent(parse(line));
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said.stderr += text;
    });
    const done = once(child, "close").then(([status]) => {
      end = { status: status as number | null, ...said };
      return end;
    });
    return { done, said, end: () => end };
  }

  /** Asks again and again until there is an answer; DEMO_FAILED when time is up. */
  async until<T>(what: string, ask: () => T | undefined): Promise<T> {
    for (
      const deadline = Date.now() + PATIENCE_MS;
      ;
      await sleep(POLL_MS, undefined, { signal: this.#signal })
    ) {
      const answer = ask();
      if (answer !== undefined) return answer;
      if (Date.now() > deadline) throw failed(`${what}: not so after ${PATIENCE_MS / 1000} s`);
    }
  }

  /** Waits until `cr` has ended well, with a look around meanwhile and after; throws as it failed. */
  async finish(running: RunningCr, look: () => void): Promise<void> {
    const end = await this.until("cr ends", () => {
      look();
      return running.end() ?? undefined;
    });
    look();
    requireDone(end);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A nanny ends with its program, and so does `cr`; one that is still at work is asked to end.
    for (const program of this.#programs.filter(isAlive)) process.kill(program.pid, "SIGKILL");
    const running = [...this.#nannies, ...this.#tools].filter(isRunning);
    const ends = Promise.all(running.map((child) => once(child, "exit")));
    for (const child of this.#tools.filter(isRunning)) child.kill("SIGTERM");
    await Promise.race([ends, sleep(END_MS, undefined, { ref: false })]);
    for (const child of running.filter(isRunning)) child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

/** Passes the error of a `cr` that failed on as our own. */
export function requireDone({ status, stdout, stderr }: CrEnd): void {
  if (status === 0) return;
  for (const line of `${stdout}${stderr}`.trim().split("\n").reverse()) throwIfError(parse(line));
  throw failed(`cr ended with status ${status}: ${stderr.trim()}`);
}

/** Throws the error that an object of `--json` holds, if it holds one. */
export function throwIfError(event: Record<string, unknown>): void {
  const error = event.error as { code: string; message: string; hint?: string } | undefined;
  if (error === undefined || !(error.code in ERROR_TABLE)) return;
  throw new CrError(
    error.code as ErrorCode,
    error.message,
    error.hint === undefined ? {} : { hint: error.hint },
  );
}

/** The whole lines of a file from an offset in bytes on; a line still being written is left out. */
export function wholeLines(path: string, from = 0): string[] {
  const text = readFileSync(path).subarray(from).toString("latin1");
  return text.split("\n").slice(0, -1);
}

/**
 * Tells the first word of each line of a file as it is written, from the line on that holds the offset; each call
 * returns how many whole lines that are.
 */
export function follow(tell: Telling, path: string, offset = 0): () => number {
  const from = readFileSync(path).subarray(0, offset).lastIndexOf("\n") + 1;
  let shown = 0;
  return () => {
    const lines = wholeLines(path, from);
    tell.words(...lines.slice(shown).map((line) => line.split(" ")[0] ?? ""));
    shown = lines.length;
    return shown;
  };
}

function parse(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return {};
  }
}
