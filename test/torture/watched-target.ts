/**
 * A self-checking target (target.c) and the questions that can only be asked from outside: is it left stopped or
 * traced, does it go on, has it complained. Reads its control page through the file (layout: target.h).
 */
import { execFileSync } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { programPath } from "./build.js";

/** How long a target may take to go on after its tool has died, in ms. */
const RECOVERY_MS_MAX = 5_000;
/** Two beats: the round in which the tool died, and a whole one after it, with a look at itself. */
const BEATS_TO_SEE = 2n;
const HEARTBEAT_AT = 8;
const HOLD_AT = 16;
const IN_SNAPSHOT_AT = 24;
const COMPLAINT_AT = 32;
const COMPLAINT_BYTES = 512;
const STOPPED = "the target is left in state T";

export interface TargetKind {
  readonly program: "target" | "target-musl" | "target-threads" | "target-tcp";
  readonly mode: "compute" | "sleep";
  /** Job control has stopped it before every run, and it must be stopped after it. */
  readonly stopped?: boolean;
}

export interface WatchedTarget {
  readonly pid: number;
  readonly control: string;
  readonly stopped: boolean;
}

/** Starts a target in the background (it is no child of this process) with its control page in `folder`. */
export function startTarget(kind: TargetKind, folder: string): WatchedTarget {
  const control = `${folder}/control`;
  const printed = execFileSync(programPath(kind.program), [kind.mode, control, String(process.pid)]);
  return { pid: Number(printed.toString()), control, stopped: kind.stopped ?? false };
}

/** A process and targets that are its children. */
export interface WatchedTree {
  readonly root: number;
  readonly targets: readonly WatchedTarget[];
}

/** Starts one target in each mode under a common parent, in the background. */
export function startTree(modes: readonly TargetKind["mode"][], folder: string): WatchedTree {
  const controls = modes.map((mode, index) => [mode, `${folder}/control.${index}`] as const);
  const args = [String(process.pid), programPath("target"), ...controls.flat()];
  const pids = execFileSync(programPath("nest"), args).toString().trim().split("\n").map(Number);
  const targets = controls.map(([, control], index) => ({ pid: pids[index] ?? 0, control, stopped: false }));
  return { root: pids[controls.length] ?? 0, targets };
}

/** What is wrong with a tree, in one sentence; null when every member goes on. */
export async function findHarmInTree({ root, targets }: WatchedTree): Promise<string | null> {
  for (const target of targets) {
    const harm = await findHarm(target);
    if (harm !== null) return `process ${target.pid}: ${harm}`;
  }
  const gone = !existsSync(`/proc/${root}/status`);
  const held = gone ? "the target is gone" : findHold(root);
  return held && `the root ${root}: ${held}`;
}

/** Ends a tree. */
export function endTree({ root, targets }: WatchedTree): void {
  for (const pid of [root, ...targets.map((target) => target.pid)]) {
    if (existsSync(`/proc/${pid}`)) process.kill(pid, "SIGKILL");
  }
}

/** Ends a target. */
export function endTarget(target: WatchedTarget): void {
  if (existsSync(`/proc/${target.pid}`)) process.kill(target.pid, "SIGKILL");
}

/** True when the target runs no more; its parent, init, may not have looked at it yet. */
export function hasEnded(target: WatchedTarget): boolean {
  const path = `/proc/${target.pid}/status`;
  return !existsSync(path) || "ZX".includes(stateOf(readFileSync(path, "utf8")));
}

/** Keeps the target from looking at itself through /proc, so that a tool finds no such files open. */
export async function holdSnapshots(target: WatchedTarget): Promise<void> {
  writeHold(target, 1n);
  while (readFileSync(target.control).readBigUInt64LE(IN_SNAPSHOT_AT) !== 0n) await sleep(1);
  if (!target.stopped) return;
  process.kill(target.pid, "SIGSTOP");
  while (findHold(target.pid) !== STOPPED) await sleep(1);
}

/** Lets the target look at itself, and waits until it has done so; null when it is well, else what is wrong with it, in one sentence. */
export async function findHarm(target: WatchedTarget): Promise<string | null> {
  if (target.stopped) {
    const moved = await findMove(target);
    if (moved !== null) return moved;
  }
  writeHold(target, 0n);
  const goal = readControl(target).heartbeat + BEATS_TO_SEE;
  const deadline = Date.now() + RECOVERY_MS_MAX;
  for (;;) {
    const { heartbeat, complaint } = readControl(target);
    if (complaint !== "") return `the target complained: ${complaint}`;
    if (hasEnded(target)) return "the target is gone";
    const held = findHold(target.pid);
    if (held === null && heartbeat >= goal) return null;
    if (Date.now() > deadline) return held ?? "the target runs but does not go on";
    await sleep(2);
  }
}

/** A target that was stopped must be so again, without a tracer; it is let go then. Null when it is. */
async function findMove(target: WatchedTarget): Promise<string | null> {
  const deadline = Date.now() + RECOVERY_MS_MAX;
  while (findHold(target.pid) !== STOPPED) {
    if (hasEnded(target)) return "the target is gone";
    if (Date.now() > deadline)
      return `the target is not stopped as it was: ${findHold(target.pid) ?? "it runs"}`;
    await sleep(2);
  }
  process.kill(target.pid, "SIGCONT");
  return null;
}

function writeHold(target: WatchedTarget, value: bigint): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  const fd = openSync(target.control, "r+");
  writeSync(fd, bytes, 0, bytes.length, HOLD_AT);
  closeSync(fd);
}

function readControl(target: WatchedTarget): { heartbeat: bigint; complaint: string } {
  const page = readFileSync(target.control);
  const text = page.toString("latin1", COMPLAINT_AT, COMPLAINT_AT + COMPLAINT_BYTES);
  return { heartbeat: page.readBigUInt64LE(HEARTBEAT_AT), complaint: text.slice(0, text.indexOf("\0")) };
}

/** Why a process cannot go on: it is stopped or traced. */
export function findHold(pid: number): string | null {
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    const status = readFileSync(`/proc/${pid}/task/${tid}/status`, "utf8");
    const state = stateOf(status);
    const tracer = /^TracerPid:\s+(\d+)/m.exec(status)?.[1] ?? "?";
    if ("tT?".includes(state)) return `the target is left in state ${state}`;
    if (tracer !== "0") return `the target is left traced by ${tracer}`;
  }
  return null;
}

function stateOf(status: string): string {
  return /^State:\s+(\S)/m.exec(status)?.[1] ?? "?";
}
