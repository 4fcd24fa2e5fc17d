/** Runs a tool under killat, the driver that kills it at one system-call boundary. The driver does the ptracing. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { programPath } from "./build.js";

/** Longest time a tool under the driver may take in ms; the driver and the tool die after it. */
const RUN_MS_MAX = 60_000;

export interface KilledRunOptions {
  readonly command: readonly string[];
  /** First boundary: any call, that which seizes the target, that which first sets a mask in it, or the first with such a path. */
  readonly from: "exec" | "seize" | "borrow" | `path:${string}`;
  /** Boundary at which the tool gets SIGKILL; it runs to its end when left out or when it has fewer. */
  readonly killAt?: number;
  /** File for one JSON line a call. */
  readonly trace?: string;
}

/** What killat prints. */
export interface KilledRun {
  /** Boundaries passed, and the one at which the tool first took hold of its target (-1: never). */
  readonly boundaries: number;
  readonly seizedAt: number;
  /** Calls of the thread that took hold, up to the one by which it last let go; without those that wait for a stop. */
  readonly stopCalls: number;
  readonly killed: boolean;
  /** `entry of pwrite64`; empty when the tool was not killed. */
  readonly killedIn: string;
  /** -1 when a signal ended it. */
  readonly exitStatus: number;
  readonly signal: number;
  /** What the tool itself printed. */
  readonly output: string;
}

/** Runs the command to its end or to boundary `killAt`; all its processes are gone when this returns. */
export async function runKilled(options: KilledRunOptions): Promise<KilledRun> {
  const flags = ["--from", options.from];
  if (options.killAt !== undefined) flags.push("--kill-at", String(options.killAt));
  if (options.trace !== undefined) flags.push("--trace", options.trace);
  const { stdout, stderr } = await promisify(execFile)(
    programPath("killat"),
    [...flags, "--", ...options.command],
    { timeout: RUN_MS_MAX, killSignal: "SIGKILL", maxBuffer: 1 << 26 },
  );
  return { ...(JSON.parse(stdout) as Omit<KilledRun, "output">), output: stderr };
}
