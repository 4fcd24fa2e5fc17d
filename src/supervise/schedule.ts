/**
 * When to act: by a cron pattern or every so often. The only file that knows the cron package. Overlap and
 * catch-up are ticker.ts: after a blocked event loop a timer fires once, and late ticks of cron are dropped.
 */
import { CronJob, validateCronExpression } from "cron";
import { CrError } from "../errors.js";
import { makeTicker } from "./ticker.js";

/** `every` ticks at once and then each period; `cron` at the times of its pattern in the local time zone. */
export type Schedule =
  | { readonly kind: "cron"; readonly pattern: string }
  | { readonly kind: "every"; readonly periodMs: number };

/** Longest delay of a Node timer. */
const PERIOD_MS_MAX = 0x7fff_ffff;

/** A late tick still counts, however late it is. */
const LATE_MS_MAX = 24 * 3600 * 1000;

/** A schedule by cron pattern, seconds first: 6 fields (5 begin with minutes). USAGE when it is not one. */
export function cronSchedule(pattern: string): Schedule {
  const { valid, error } = validateCronExpression(pattern);
  if (valid) return { kind: "cron", pattern };
  throw new CrError("USAGE", `reading the cron pattern "${pattern}": ${error?.message ?? "it is not one"}`, {
    hint: "write six fields, seconds first: '*/5 * * * * *' is every five seconds",
    cause: error,
  });
}

/** A schedule by period in ms, 10 ms to 24 days; USAGE outside of that. */
export function everySchedule(periodMs: number): Schedule {
  if (periodMs >= 10 && periodMs <= PERIOD_MS_MAX) return { kind: "every", periodMs };
  throw new CrError("USAGE", `reading the period: ${periodMs} ms found, 10 ms to 24 days required`, {
    hint: "write it like --every 5s, or use --cron for longer ones",
  });
}

/** Runs the action by the schedule until stopped; the returned `stop` waits for a run under way. */
export function runSchedule(schedule: Schedule, action: () => Promise<void>): { stop(): Promise<void> } {
  const ticker = makeTicker(action);
  const clock =
    schedule.kind === "cron"
      ? startCron(schedule.pattern, ticker.due)
      : startPeriod(schedule.periodMs, ticker.due);
  return {
    stop() {
      clock.stop();
      return ticker.stop();
    },
  };
}

function startCron(pattern: string, due: () => void): { stop(): void } {
  const job = CronJob.from({ cronTime: pattern, onTick: due, start: true, threshold: LATE_MS_MAX });
  return { stop: () => void job.stop() };
}

/** Ticks on a grid from the start on, so that periods do not drift; points missed while blocked become one tick. */
function startPeriod(periodMs: number, due: () => void): { stop(): void } {
  const startMs = performance.now();
  let point = 0;
  let timer: NodeJS.Timeout;
  const tick = (): void => {
    due();
    const elapsedMs = performance.now() - startMs;
    // Timers may fire a fraction of a ms early: the point just served must not be served again.
    point = Math.max(point, Math.floor(elapsedMs / periodMs)) + 1;
    timer = setTimeout(tick, Math.ceil(point * periodMs - elapsedMs));
  };
  timer = setTimeout(tick, 0);
  return { stop: () => clearTimeout(timer) };
}
