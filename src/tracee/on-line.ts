/**
 * Programs of ours that hold something in cr's place and may outlive it (native/hold, peek, lazy): each is spoken to on
 * its descriptor 0, one end of a socket, and knows by its end that cr has gone.
 */
import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { call } from "./native.js";
import { ownCall } from "./own-call.js";

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;

/** A program that was started, and our end of its line. */
export interface OnLine {
  /** 0 when it could not be started, which the end of its line tells, too. */
  readonly pid: number;
  readonly line: number;
}

/** Starts one in a session of its own; `fds` of ours it gets as 3, 4, … Throws `NativeError` without a socket to be had. */
export function startOnLine(program: string, args: readonly string[], fds: readonly number[] = []): OnLine {
  const { line, its } = makeLine();
  try {
    const stdio = [its, "ignore" as const, "ignore" as const, ...fds];
    const child = spawn(program, args, { cwd: "/", detached: true, stdio });
    // That it could not be started is told by the end of its line.
    child.on("error", () => {});
    child.unref();
    return { pid: child.pid ?? 0, line };
  } finally {
    closeSync(its);
  }
}

/** CR_SPAWN_SERVER of native/cr.h, and no descriptor of ours: /dev/null. */
const SPAWN_SERVER = 4;
const NULL_DEVICE = -1;
/** The lowest that is no standard one; a server has no use for it. */
const FD_BASE = 3;

/**
 * The same for a program with one argument that is nobody's child, our end of its line: quicker by 4 ms, since Node's own way
 * brings its whole network with it and copies our page tables.
 */
export function startQuickly(program: string, argument: string, fds: readonly number[]): number {
  const { line, its } = makeLine();
  try {
    const all = Int32Array.of(its, NULL_DEVICE, NULL_DEVICE, ...fds);
    call("cr_spawn", program, 0, SPAWN_SERVER, 0, Buffer.from(all.buffer), all.length, FD_BASE, argument);
    return line;
  } catch (error) {
    closeSync(line);
    throw error;
  } finally {
    closeSync(its);
  }
}

function makeLine(): { readonly line: number; readonly its: number } {
  const ends = Buffer.alloc(8);
  ownCall("socketpair", AF_UNIX, SOCK_STREAM_CLOEXEC, 0, ends);
  return { line: ends.readInt32LE(0), its: ends.readInt32LE(4) };
}
