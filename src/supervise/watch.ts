/**
 * `watch`: a program is checkpointed by a schedule into the generations of a job until it ends or the caller says
 * stop. The checkpoint itself is passed in; what is kept, where and by whom is the store's. One failed checkpoint
 * is told and the next one tried.
 */
import { bootId } from "../host/boot.js";
import { isAlive, ownIdentity, processStatus } from "../host/process-status.js";
import { collectGarbage } from "../host/urgency.js";
import { listGenerations, nextGeneration, removeGeneration } from "../store/generation.js";
import { homeFolder } from "../store/home.js";
import { defaultJobName, type Job, openJob } from "../store/job.js";
import { lockJob } from "../store/lock.js";
import { expiredGenerations, type RetentionPolicy } from "../store/retention.js";
import { Ancestry } from "./ancestry.js";
import { type HeldProcess, holdProcess } from "./hold.js";
import { runSchedule, type Schedule } from "./schedule.js";

/** What a watch needs to know of a checkpoint it asked for; sizes in bytes, times in ms. */
export interface TakenCheckpoint {
  readonly core: string;
  readonly stopMs: number;
  readonly totalMs: number;
  readonly bytes: number;
  /** Of a core that holds only what changed: the one it builds on. */
  readonly parent?: string;
}

/** Takes one checkpoint into `output` under a name that does not exist yet. */
export type TakeCheckpoint = (
  pid: number,
  options: { readonly output: string; readonly startTicks: bigint; readonly timeoutMs?: number },
) => Promise<TakenCheckpoint>;

export interface WatchOptions {
  readonly pid: number;
  /** Start time in clock ticks since boot, when the caller knows it; otherwise that of whoever has the pid now. */
  readonly startTicks?: bigint;
  readonly schedule: Schedule;
  readonly retention: RetentionPolicy;
  /** Name of the job; `<comm>-<pid>` when left out. */
  readonly name?: string;
  /** Folder of all jobs; `homeFolder()` when left out. */
  readonly home?: string;
  /** How long the process may take to stop for one checkpoint, in ms. */
  readonly timeoutMs?: number;
  /** Ends the watch; a checkpoint under way is finished first. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: WatchEvent) => void;
  /** What is done behind each checkpoint, when nobody waits for it. */
  readonly meanwhile?: () => void;
}

export type WatchEvent =
  | { readonly event: "started"; readonly job: string; readonly folder: string; readonly pid: number }
  | ({
      readonly event: "generation";
      readonly number: number;
      readonly pruned: readonly string[];
    } & TakenCheckpoint)
  | { readonly event: "failed"; readonly error: unknown };

export interface WatchSummary {
  readonly job: string;
  readonly folder: string;
  readonly pid: number;
  /** What ended the watch. */
  readonly ended: "target" | "stopped";
  readonly taken: number;
  readonly failed: number;
  /** Path of the newest core of this watch; null when none was taken. */
  readonly lastCore: string | null;
}

/** How soon the end of the program is seen: one look costs some 30 us. */
const LOOK_MS = 100;

/**
 * Watches a program until it ends or `signal` aborts, and sums up. NO_SUCH_PROCESS when it is not there,
 * JOB_EXISTS when another `cr` writes to the job, USAGE for a bad name.
 */
export async function watch(options: WatchOptions, checkpoint: TakeCheckpoint): Promise<WatchSummary> {
  const status = processStatus(options.pid);
  using held = holdProcess({
    pid: options.pid,
    startTicks: options.startTicks ?? status?.startTicks ?? 0n,
  });
  const home = options.home ?? homeFolder();
  const job = openJob(options.name ?? defaultJobName(status?.comm ?? "", options.pid), home);
  const boot = bootId();
  const lock = await lockJob(
    job,
    { ...ownIdentity(), bootId: boot },
    (owner) => owner.bootId === boot && isAlive(owner),
  );
  try {
    return await watchJob({ ...options, job, held }, checkpoint);
  } finally {
    lock.release();
  }
}

type Watch = WatchOptions & { readonly job: Job; readonly held: HeldProcess };

async function watchJob(watched: Watch, checkpoint: TakeCheckpoint): Promise<WatchSummary> {
  const { job, held, onEvent = () => {} } = watched;
  const ancestry = new Ancestry();
  let taken = 0;
  let failed = 0;
  let lastCore: string | null = null;
  onEvent({ event: "started", job: job.name, folder: job.folder, pid: held.pid });
  const running = runSchedule(watched.schedule, async () => {
    if (!held.alive()) return;
    try {
      const generation = await takeGeneration(watched, checkpoint);
      taken += 1;
      lastCore = generation.core;
      ancestry.note(generation.core, generation.parent);
      const pruned = prune(watched, ancestry);
      onEvent({ event: "generation", ...generation, pruned });
      watched.meanwhile?.();
      // Until the next one is due nobody waits for that, either.
      collectGarbage({ onlyMuch: true });
    } catch (error) {
      // The program ended in the middle of it: no failure, just the end.
      if (!held.alive()) return;
      failed += 1;
      onEvent({ event: "failed", error });
    }
  });
  const ended = await untilEnd(held, watched.signal);
  await running.stop();
  return { job: job.name, folder: job.folder, pid: held.pid, ended, taken, failed, lastCore };
}

async function takeGeneration(
  { job, held, timeoutMs }: Watch,
  checkpoint: TakeCheckpoint,
): Promise<TakenCheckpoint & { readonly number: number }> {
  const { number, path } = nextGeneration(job, held.pid);
  const { core, stopMs, totalMs, bytes, parent } = await checkpoint(held.pid, {
    output: path,
    startTicks: held.startTicks,
    ...(timeoutMs !== undefined && { timeoutMs }),
  });
  return { number, core, stopMs, totalMs, bytes, ...(parent !== undefined && { parent }) };
}

/** Removes what the policy no longer keeps and nothing kept builds on; only called once a newer generation is whole. */
function prune({ job, retention }: Watch, ancestry: Ancestry): readonly string[] {
  const expired = expiredGenerations(listGenerations(job), retention, ancestry.of);
  for (const generation of expired) removeGeneration(generation);
  return expired.map((generation) => generation.path);
}

function untilEnd(held: HeldProcess, signal: AbortSignal | undefined): Promise<WatchSummary["ended"]> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (!held.alive()) finish("target");
    }, LOOK_MS);
    const stopped = (): void => finish("stopped");
    const finish = (ended: WatchSummary["ended"]): void => {
      clearInterval(timer);
      signal?.removeEventListener("abort", stopped);
      resolve(ended);
    };
    signal?.addEventListener("abort", stopped);
    if (signal?.aborted) stopped();
  });
}
