/**
 * A restore made by a process of its own in other surroundings: a pid namespace, or the identity of the core's owner.
 * Here is the outside of it: what it is told, whom it starts, and the duties of the foreground, which need the
 * terminal and the pids of the caller.
 */

import { CrError } from "../errors.js";
import { nowMs } from "../host/monotonic.js";
import { ownCredentials } from "../restore/check-credentials.js";
import { type Foreground, openForeground } from "../restore/foreground.js";
import type { Restored } from "../restore/restore.js";
import type { SoftError } from "../state/soft-error.js";
import type { ChildEvent } from "../tracee/child.js";
import { outerPid, outerPids } from "../tracee/pid-namespace.js";
import { type Line, launch, launchFailed } from "./launcher.js";
import type { RestoreOnOptions } from "./restore-options.js";
import type { Surroundings } from "./surroundings.js";

/** Restores in `surroundings`; throws what the restore inside threw, or NOT_PERMITTED. */
export async function restoreApart(
  path: string,
  options: RestoreOnOptions,
  surroundings: Surroundings,
): Promise<Restored> {
  const begin = nowMs();
  const detach = (options.detach ?? false) || (options.stopped ?? false);
  const placed = (options.fds ?? []).flatMap(({ fd, target }) => (target.kind === "inherit" ? [fd] : []));
  const inherit = options.coreFd === undefined ? placed : [...placed, options.coreFd];
  const task = {
    core: path,
    options: { ...options, pid: options.pid === "new" ? "new" : "keep" },
    callerGroups: surroundings.namespace === "user" ? ownCredentials().groups : null,
  };
  const line = launch({ surroundings, inherit, task });
  let foreground: Foreground | null = null;
  try {
    const { pid, innerPid, group } = await untilReady(line, surroundings);
    if (!detach) foreground = openForeground({ pid, foreground: group, wait: () => nextEvent(line) });
    line.answer();
    const { softErrors, processes } = await untilRestored(line);
    line.letGo();
    if (detach) await line.close();
    return {
      pid,
      ...(innerPid !== pid && { innerPid }),
      ...(processes && {
        processes: surroundings.namespace === "none" ? processes : outerPids(pid, processes),
      }),
      softErrors: [...softErrors, ...whatDiffers({ pid, innerPid }, surroundings)],
      totalMs: nowMs() - begin,
      foreground,
    };
  } catch (error) {
    foreground?.[Symbol.dispose]();
    await line.close();
    throw error;
  }
}

interface Pids {
  readonly pid: number;
  readonly innerPid: number;
  /** The group of its tree that has the terminal, by our number. */
  readonly group?: number | undefined;
}

/** Waits for the program to be rebuilt; both its pids. */
async function untilReady(line: Line, { namespace }: Surroundings): Promise<Pids> {
  let init: number | null = null;
  for (;;) {
    const message = await line.next();
    if (message === null) throw lost();
    if ("failed" in message) throw launchFailed(message);
    if ("error" in message) throw asError(message.error);
    if ("init" in message) init = message.init;
    if (!("ready" in message)) continue;
    const { ready: innerPid, foreground: group } = message;
    if (namespace === "none") return { pid: innerPid, innerPid, group };
    const pid = init === null ? null : outerPid(init, innerPid);
    if (pid === null) throw lost();
    return { pid, innerPid, group: group === undefined ? group : outerPids(pid, [group])[0] };
  }
}

async function untilRestored(line: Line): Promise<Pick<Restored, "softErrors" | "processes">> {
  const message = await line.next();
  if (message === null) throw lost();
  if ("error" in message) throw asError(message.error);
  if ("restored" in message) return message.restored;
  throw new RangeError(`unexpected message of the restore: ${JSON.stringify(message)}`);
}

/** What becomes of the program. Where nobody is left to tell, it may go on, but not as a child of cr. */
async function nextEvent(line: Line): Promise<ChildEvent> {
  const message = await line.next();
  if (message !== null && "event" in message) return message.event;
  throw new CrError(
    "RESTORE_FAILED",
    "wait for the restored program: the process that was its parent has ended",
    {
      hint: "look whether the program goes on: ps -e",
    },
  );
}

/** Cosmetic: what the program could see to be different from before. */
function whatDiffers({ pid, innerPid }: Pids, { namespace }: Surroundings): SoftError[] {
  if (namespace === "none") return [];
  const soft: SoftError[] = [
    {
      kind: "pid",
      id: String(pid),
      message: `the program lives in a pid namespace of its own: it is process ${innerPid} for itself and process ${pid} here`,
    },
  ];
  if (namespace === "user") {
    const message =
      "the program lives in a user namespace of its own: files and processes of other users look to it like those of user 65534";
    soft.push({ kind: "user", id: "", message });
  }
  return soft;
}

function asError({ code, message, hint, data }: { code: CrError["code"]; message: string } & CrErrorFacts) {
  return new CrError(code, message, { ...(hint !== undefined && { hint }), ...(data && { data }) });
}

interface CrErrorFacts {
  readonly hint?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

function lost(): CrError {
  return new CrError("RESTORE_FAILED", "restore the program: the process that rebuilt it has ended", {
    hint: "nothing of it ran; try again, and look at dmesg if it was killed (out of memory)",
  });
}
