/**
 * Reads a trace of killat (calls.c: one JSON line a call, in the order in which the calls ended) and tells in which
 * order a checkpoint came to be: which file was made, when its data and its folder were made durable.
 */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** open(2) flags. */
const O_CREAT = 0o100;
const O_TMPFILE = 0o20200000;
const AT_FDCWD = -100;

interface TracedCall {
  readonly call: string;
  readonly args: readonly (number | string)[];
  /** null for a call that does not return. */
  readonly result: number | null;
}

/** What matters of a call: `path` is absolute, and of the file that is written, renamed or synced. */
export interface TraceStep {
  readonly kind: "create" | "data" | "sync" | "publish" | "kill" | "exit";
  readonly path: string;
  /** Name before a publication; signal of a kill, status of an exit. */
  readonly from: string;
  readonly value: number;
}

/** The steps of a traced run in their order; files that no name was given yet are named `<folder>/#<fd>`. */
export function readSteps(tracePath: string, cwd: string): TraceStep[] {
  const files = new Map<number, string>();
  const steps: TraceStep[] = [];
  const lines = readFileSync(tracePath, "utf8").trim().split("\n");
  for (const line of lines) {
    const call = JSON.parse(line) as TracedCall;
    if (call.result !== null && call.result < 0) continue;
    const step = { path: "", from: "", value: 0, ...describe(call, files, cwd) };
    if (step.kind !== undefined) steps.push(step as TraceStep);
  }
  return steps;
}

function describe(call: TracedCall, files: Map<number, string>, cwd: string): Partial<TraceStep> {
  const [a, b, c, d] = call.args;
  const at = (dir: number | string | undefined, path: number | string | undefined): string =>
    resolve(dir === AT_FDCWD ? cwd : (files.get(Number(dir)) ?? cwd), String(path));
  const file = (fd: number | string | undefined): string => files.get(Number(fd)) ?? "";
  switch (call.call) {
    case "open":
      return opened(at(AT_FDCWD, a), Number(b), { files, fd: Number(call.result) });
    case "openat":
      return opened(at(a, b), Number(c), { files, fd: Number(call.result) });
    case "close":
      files.delete(Number(a));
      return {};
    case "write":
    case "writev":
    case "pwrite64":
    case "pwritev":
    case "pwritev2":
    case "sendfile":
    case "fallocate":
    case "ftruncate":
      return { kind: "data", path: file(a) };
    case "copy_file_range":
    case "splice":
      return { kind: "data", path: file(b) };
    case "fsync":
    case "fdatasync":
      return { kind: "sync", path: file(a) };
    case "rename":
    case "link":
      return { kind: "publish", from: at(AT_FDCWD, a), path: at(AT_FDCWD, b) };
    case "renameat":
    case "renameat2":
    case "linkat":
      return { kind: "publish", from: linkSource(at(a, b), files), path: at(c, d) };
    case "kill":
    case "pidfd_send_signal":
      return { kind: "kill", value: Number(b) };
    case "tgkill":
      return { kind: "kill", value: Number(c) };
    case "exit_group":
      return { kind: "exit", value: Number(a) };
    default:
      return {};
  }
}

/** Remembers which file a descriptor is; a step only if the call made the file. */
function opened(
  path: string,
  flags: number,
  into: { files: Map<number, string>; fd: number },
): Partial<TraceStep> {
  const unnamed = (flags & O_TMPFILE) === O_TMPFILE;
  const name = unnamed ? `${path}/#${into.fd}` : path;
  into.files.set(into.fd, name);
  return unnamed || flags & O_CREAT ? { kind: "create", path: name } : {};
}

/** The way to give an O_TMPFILE file a name is to link /proc/self/fd/N (open(2)). */
function linkSource(path: string, files: Map<number, string>): string {
  const fd = /^\/proc\/self\/fd\/(\d+)$/.exec(path)?.[1];
  return fd === undefined ? path : (files.get(Number(fd)) ?? path);
}

/** All names that a file had on its way to `finalPath`, the first one first: rename and link are followed back. */
export function namesUntil(steps: readonly TraceStep[], finalPath: string): string[] {
  const names = [finalPath];
  for (const step of steps.toReversed()) {
    if (step.kind === "publish" && step.path === names[0] && step.from !== names[0]) names.unshift(step.from);
  }
  return names;
}

/** True when both are in the same folder. */
export function sameFolder(one: string, other: string): boolean {
  return dirname(one) === dirname(other);
}
