/**
 * The program that native/launch/cr-init.c runs: a restore in the surroundings it finds itself in, for a cr outside of
 * them. Its one argument is the task as JSON; what it does, it tells on the line to the outside (launcher.ts).
 */
import { readSync, writeSync } from "node:fs";
import { CrError, knownError } from "../errors.js";
import type { Foreground, ForegroundChild } from "../restore/foreground.js";
import { waitChild } from "../tracee/child.js";
import type { Message } from "./launcher.js";
import { restoreHere } from "./restore-on.js";
import type { RestoreOnOptions } from "./restore-options.js";

interface Task {
  readonly core: string;
  readonly options: RestoreOnOptions;
  /** Groups of the caller as they are outside; null where they are the same. */
  readonly callerGroups: readonly number[] | null;
  /** Our end of the line. */
  readonly link: number;
}

/** What a terminal sends to the whole group: the program's business, and that of the cr outside. */
const OF_THE_GROUP = ["SIGINT", "SIGQUIT", "SIGHUP", "SIGWINCH", "SIGTSTP"] as const;

const task = JSON.parse(process.argv[2] ?? "{}") as Task;

function tell(message: Message): void {
  const text = JSON.stringify(message, (_key, value) =>
    typeof value === "bigint" ? `0x${value.toString(16)}` : value,
  );
  writeSync(task.link, `${text}\n`);
}

/** Blocks until the outside has taken up its duties; RESTORE_FAILED when it is gone. */
function announce(pid: number, foreground?: number): void {
  tell({ ready: pid, ...(foreground !== undefined && { foreground }) });
  if (readSync(task.link, Buffer.alloc(1)) === 1) return;
  throw new CrError("RESTORE_FAILED", "let the program go: the cr that asked for it has ended");
}

/** The parent of the program as far as the kernel is concerned: knows of its end and passes that on. */
function attend({ pid }: ForegroundChild): Foreground {
  for (const name of OF_THE_GROUP) process.on(name, () => {});
  return {
    finished: async () => {
      for (;;) {
        const event = await waitChild(pid);
        tell({ event });
        if (event.kind === "exited" || event.kind === "signaled") return 0;
      }
    },
    [Symbol.dispose]() {},
  };
}

async function main(): Promise<void> {
  const { core, options, callerGroups } = task;
  const restored = await restoreHere(core, { ...options, announce, attend, callerGroups });
  const { softErrors, processes } = restored;
  tell({ restored: { softErrors, ...(processes && { processes }) } });
  await restored.foreground?.finished();
}

try {
  await main();
  process.exit(0);
} catch (error) {
  const { code, message, hint, data } = knownError(error);
  tell({ error: { code, message, ...(hint !== undefined && { hint }), ...(data && { data }) } });
  process.exit(1);
}
