/**
 * cr as the parent of the restored program until its end: hands it the terminal and the signals that cr gets,
 * stops and goes on with it as one job, and knows its exit status. Opened before the program's first instruction,
 * so that it never finds itself in the background of its own terminal.
 */
import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { processStatus } from "../host/process-status.js";
import { type ChildEvent, signalChild, waitChild } from "../tracee/child.js";
import { type JobTerminal, openJobTerminal } from "./job-terminal.js";

export interface ForegroundChild {
  /** Our child, not yet reaped, in a process group of its own or in cr's. */
  readonly pid: number;
  /** The group of its tree that has the terminal, when that is not its own. */
  readonly foreground?: number | undefined;
  /** Where it is somebody else's child: what becomes of it, as that one tells. */
  readonly wait?: () => Promise<ChildEvent>;
}

export interface Foreground extends Disposable {
  /** Waits for the program's end: its exit status, 128+N when signal N ended it. */
  finished(): Promise<number>;
}

interface Job {
  readonly pid: number;
  readonly group: number;
  readonly terminal: JobTerminal | null;
  /** The child is in cr's own group, where the terminal reaches it without us. */
  readonly sharesGroup: boolean;
  /** How often cr was continued. */
  continued: number;
}

// biome-ignore-start format: in rows
/** Passed on whoever sends them. Not the faults of cr itself (SEGV, PIPE, …), not SIGCHLD; Node has no others. */
const FORWARDED = [
  "SIGTERM",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGIO",
  "SIGURG",
  "SIGVTALRM",
  "SIGPWR",
] as const;
/** Passed on unless the terminal sends them to the shared group anyway: the program must not get them twice. */
const FROM_TERMINAL = ["SIGINT", "SIGQUIT", "SIGHUP", "SIGWINCH"] as const;
// biome-ignore-end format: in rows

/** Longer than it takes Node to run the handler of a signal that has arrived. */
const HANDLER_MS = 20;

/**
 * Takes over the duties of a parent in the foreground: signals, and the terminal if cr is in its foreground.
 * Call it before the program is let go; disposing it gives everything back.
 */
export function openForeground({
  pid,
  foreground,
  wait = () => waitChild(pid),
}: ForegroundChild): Foreground {
  const group = processStatus(pid)?.pgid ?? pid;
  const sharesGroup = processStatus(process.pid)?.pgid === group;
  const job: Job = { pid, group, sharesGroup, terminal: openJobTerminal(), continued: 0 };
  const release = handleSignals(job);
  if (foreground !== undefined || !sharesGroup) job.terminal?.giveTo(foreground ?? group);
  return {
    finished: () => follow(job, wait),
    [Symbol.dispose]() {
      release();
      job.terminal?.takeBack(group);
      job.terminal?.[Symbol.dispose]();
    },
  };
}

async function follow(job: Job, wait: () => Promise<ChildEvent>): Promise<number> {
  for (;;) {
    const event = await wait();
    if (event.kind === "exited") return event.status;
    if (event.kind === "signaled") return 128 + event.signal;
    if (event.kind === "stopped") await stopLikewise(job, event.signal);
  }
}

/** Installs the handlers; the result removes them. */
function handleSignals(job: Job): () => void {
  const { pid, sharesGroup, terminal } = job;
  const handlers = new Map<NodeJS.Signals, () => void>();
  const forward = (name: NodeJS.Signals) => () => signalChild(pid, constants.signals[name]);
  for (const name of FORWARDED) handlers.set(name, forward(name));
  const reached = sharesGroup && terminal !== null;
  // Even then a handler is needed, so that cr outlives the program and tells its status.
  for (const name of FROM_TERMINAL) handlers.set(name, reached ? () => {} : forward(name));
  if (!reached) {
    handlers.set("SIGTSTP", forward("SIGTSTP"));
    handlers.set("SIGCONT", () => {
      job.continued += 1;
      resume(job);
    });
  }
  for (const [name, handler] of handlers) process.on(name, handler);
  return () => {
    for (const [name, handler] of handlers) process.removeListener(name, handler);
  };
}

/**
 * Job control: the shell knows only cr, so cr stops when the program did, by the same signal, and its whole group
 * with it where the terminal caused it. Without a terminal nobody would continue cr, so it just waits.
 */
async function stopLikewise(job: Job, signal: number): Promise<void> {
  if (job.terminal === null || job.sharesGroup) return;
  const name = signalName(signal);
  job.terminal.takeBack(job.group);
  const before = job.continued;
  const handlers = process.listeners(name);
  for (const handler of handlers) process.removeListener(name, handler);
  // Returns when cr is continued, or at once in an orphaned group, which the terminal cannot stop.
  process.kill(name === "SIGSTOP" ? process.pid : 0, name);
  for (const handler of handlers) process.on(name, handler);
  await sleep(HANDLER_MS);
  if (job.continued === before && name === "SIGTSTP") resume(job);
}

/** Continues the program, in the foreground if the shell put cr there. */
function resume({ pid, group, terminal, sharesGroup }: Job): void {
  if (!sharesGroup) terminal?.giveTo(group);
  signalChild(sharesGroup ? pid : -group, constants.signals.SIGCONT);
}

function signalName(signal: number): NodeJS.Signals {
  const entry = Object.entries(constants.signals).find(([, number]) => number === signal);
  return (entry?.[0] ?? "SIGSTOP") as NodeJS.Signals;
}
