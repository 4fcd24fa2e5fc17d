/**
 * The line to a restore that runs in a process of its own (native/launch/cr-init.c starts it): its arguments, and
 * what it tells, one JSON object a line. Knows nothing of what a restore is.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { CrError, type ErrorCode } from "../errors.js";
import { userNamespaces } from "../host/user-namespaces.js";
import type { SoftError } from "../state/soft-error.js";
import type { ChildEvent } from "../tracee/child.js";
import { errnoName } from "../tracee/native.js";
import type { Surroundings } from "./surroundings.js";

const LAUNCHER = fileURLToPath(new URL("../../native/launch/cr-init", import.meta.url));
const INSIDE = fileURLToPath(new URL("../supervise/restore-inside.js", import.meta.url));

/** What the process inside, or the launcher before it, tells. */
export type Message =
  /** Process 1 of the new namespace, by our pid. */
  | { readonly init: number }
  | { readonly failed: string; readonly errno: number }
  /**
   * The program, by its inner pid, waits to be let go until we answer; and the group of its tree that has the terminal,
   * when that is not its own.
   */
  | { readonly ready: number; readonly foreground?: number }
  /** `processes`: inner pids of a tree. */
  | {
      readonly restored: {
        readonly softErrors: readonly SoftError[];
        readonly processes?: readonly number[];
      };
    }
  | { readonly event: ChildEvent }
  | {
      readonly error: {
        readonly code: ErrorCode;
        readonly message: string;
        readonly hint?: string;
        readonly data?: Readonly<Record<string, unknown>>;
      };
    };

export interface LaunchPlan {
  readonly surroundings: Surroundings;
  /** Descriptors of ours that the process gets under the same numbers, besides 0 to 2. */
  readonly inherit: readonly number[];
  /** For restore-inside.ts; the number of its end of the line is added. */
  readonly task: Readonly<Record<string, unknown>>;
}

export interface Line {
  /** The next message; null when the other side has hung up. */
  next(): Promise<Message | null>;
  /** Lets the program go that was told `ready`. */
  answer(): void;
  /** From here on the other side lives without us. */
  letGo(): void;
  /** Ends the other side unless it was let go, and waits until it is gone. */
  close(): Promise<void>;
}

/** Starts the launcher. Its death, and that of everything it started, follows ours until `letGo`. */
export function launch({ surroundings, inherit, task }: LaunchPlan): Line {
  const control = Math.max(2, ...inherit) + 1;
  const link = control + 1;
  const stdio = Array.from({ length: link + 1 }, (_, fd) => stdioOf(fd, { control, inherit }));
  const args = [
    surroundings.namespace,
    ownerArgument(surroundings),
    String(control),
    String(link),
    String(surroundings.lastPid),
    process.execPath,
    INSIDE,
    JSON.stringify({ ...task, link }),
  ];
  const child = spawn(LAUNCHER, args, { stdio });
  return new SocketLine(child.stdio[control] as Duplex, child.stdio[link] as Duplex, child);
}

function stdioOf(fd: number, { control, inherit }: { control: number; inherit: readonly number[] }) {
  if (fd >= control) return "pipe";
  return fd <= 2 || inherit.includes(fd) ? fd : "ignore";
}

function ownerArgument({ owner }: Surroundings): string {
  return owner === null ? "-" : `${owner.uid}:${owner.gid}:${owner.groups.join(",")}`;
}

class SocketLine implements Line {
  readonly #control: Duplex;
  readonly #link: Duplex;
  readonly #messages: AsyncIterator<Message>;

  constructor(control: Duplex, link: Duplex, child: NodeJS.EventEmitter) {
    this.#control = control;
    this.#link = link;
    this.#messages = messagesOf(link, child);
    for (const stream of [control, link]) stream.on("error", () => {});
  }

  async next(): Promise<Message | null> {
    const { done, value } = await this.#messages.next();
    return done ? null : value;
  }

  answer(): void {
    this.#link.write("k");
  }

  letGo(): void {
    // Its other end may stay open for as long as anything lives in the namespace.
    this.#control.write("g", () => this.#control.destroy());
  }

  async close(): Promise<void> {
    this.#control.destroy();
    this.#link.end();
    while ((await this.next()) !== null);
  }
}

/** Lines as they come in; a launcher that cannot be started is told as one that failed. */
async function* messagesOf(link: Duplex, child: NodeJS.EventEmitter): AsyncGenerator<Message, undefined> {
  const broken = once(child, "error").then(([error]) => error as NodeJS.ErrnoException);
  let rest = "";
  link.setEncoding("utf8");
  const chunks = link.iterator({ destroyOnReturn: false });
  for (;;) {
    const chunk = await Promise.race([chunks.next(), broken]);
    if (chunk instanceof Error) {
      yield { failed: `start ${LAUNCHER}`, errno: -(chunk.errno ?? 0) };
      return;
    }
    if (chunk.done) return;
    const lines = (rest + String(chunk.value)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line) as Message;
  }
}

/** The error for a failed step of the launcher, in the user's words. */
export function launchFailed({ failed, errno }: { failed: string; errno: number }): CrError {
  const { state, why, next } = userNamespaces();
  const hint =
    state === "open"
      ? "cr doctor tells what this host allows; a container may forbid namespaces: restore outside of it, or as root"
      : next;
  const setting = state === "open" ? "" : ` (${why})`;
  const message = `restore the program in surroundings of its own: cannot ${failed}: ${errnoName(errno)}${setting}`;
  return new CrError("NOT_PERMITTED", message, { hint, data: { step: failed, errno: errnoName(errno) } });
}
