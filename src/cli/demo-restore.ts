/** What both acts of `cr demo` need of a restore: how this user can get one, and under which pid it came back. */
import { readCore } from "../core/read-core.js";
import { hasCapability } from "../host/capabilities.js";
import { type RunningCr, requireDone, type Stage } from "./demo-stage.js";
import type { Telling } from "./demo-telling.js";

/** The flags with which this user can restore: another's pid wants a capability. */
export function pidFlags(tell: Telling): readonly string[] {
  if (hasCapability("CAP_CHECKPOINT_RESTORE") || hasCapability("CAP_SYS_ADMIN")) return [];
  tell.line("(Without CAP_CHECKPOINT_RESTORE it gets a new pid: a program of one thread can do with it.)");
  return ["--pid", "new"];
}

/** The pid that a `cr restore` in the foreground reports on standard error; fails as it failed. */
export async function restoredPid(stage: Stage, restore: RunningCr): Promise<number> {
  return stage.until("the program is restored", () => {
    const end = restore.end();
    const pid = Number(/"pid":(\d+)/.exec(restore.said.stderr)?.[1]) || undefined;
    if (end !== null && pid === undefined) requireDone(end);
    if (pid !== undefined) stage.adopt(pid);
    return pid;
  });
}

/** Where the program's standard output, a file, stood when the core was taken, in bytes. */
export function savedOutputBytes(core: string): number {
  const { descriptors, descriptions } = readCore(core).state.files;
  const output = descriptors.find(({ fd }) => fd === 1)?.description;
  return Number(descriptions.find(({ id }) => id === output)?.position ?? 0n);
}
