// The program that is checkpointed (heap.c): start it, read and reset its own account of how long it stood still and how
// much it got done. Talks to it through its control file only; who stops it is none of this file's business.
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("bin/heap", import.meta.url));
const START_MS_MAX = 60_000;
const WORD = {
  pid: 0,
  looks: 1,
  resetsWanted: 2,
  resetsDone: 3,
  longestGapNs: 4,
  longestGapEndNs: 5,
  pagesWritten: 6,
};

/**
 * Starts a heap of `mib` MiB with `threads` threads, which writes `dirtyMibPerS`, of all its memory or of the first
 * `workingMib`; ready (filled) when this returns. `under` is a command that it is the last argument of.
 */
export async function startHeap({ mib, threads = 1, dirtyMibPerS, workingMib = 0, folder, under = [] }) {
  const control = `${folder}/control${under.length > 0 ? `.${under[0]}` : ""}`;
  const own = [PROGRAM, control, mib, dirtyMibPerS, process.pid, threads, workingMib].map(String);
  const [command, ...args] = [...under, ...own];
  const launcher = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  launcher.on("error", () => {});
  const heap = { control, pid: 0, mib };
  const deadline = Date.now() + START_MS_MAX;
  while (heap.pid === 0) {
    if (launcher.exitCode !== null || launcher.pid === undefined || Date.now() > deadline) {
      throw new Error(`the heap program of ${mib} MiB did not start`);
    }
    await sleep(5);
    heap.pid = existsSync(control) ? Number(read(heap, "pid")) : 0;
  }
  return heap;
}

/** Sets the longest gap back to zero and waits until the program has seen it. */
export async function resetGap(heap) {
  const wanted = read(heap, "resetsWanted") + 1n;
  write(heap, "resetsWanted", wanted);
  while (read(heap, "resetsDone") !== wanted) await sleep(1);
}

/** Longest time the program stood still since the last reset, in ms; waits for its next look at the clock. */
export async function longestGapMs(heap) {
  const looks = read(heap, "looks");
  while (read(heap, "looks") === looks) await sleep(1);
  return Number(read(heap, "longestGapNs")) / 1e6;
}

/** Looks at the clock so far: grows while the program runs. */
export function looks(heap) {
  return read(heap, "looks");
}

/** When the longest gap ended, on CLOCK_MONOTONIC in ms: after a restore, the program's first sign of life. */
export function longestGapEndMs(heap) {
  return Number(read(heap, "longestGapEndNs")) / 1e6;
}

/** Bytes of the pages that the program has written so far, each as often as it was. */
export function bytesWritten(heap) {
  return Number(read(heap, "pagesWritten")) * 4096;
}

/** How much the program gets done while `act` lasts: its looks at the clock a millisecond, and what `act` came to. */
export async function paceDuring(heap, act) {
  const [before, start] = [looks(heap), performance.now()];
  const result = await act();
  return { looksPerMs: Number(looks(heap) - before) / (performance.now() - start), result };
}

/** Kills the program and waits until its pid is free. */
export async function endHeap(heap) {
  if (existsSync(`/proc/${heap.pid}`)) process.kill(heap.pid, "SIGKILL");
  while (existsSync(`/proc/${heap.pid}`)) await sleep(1);
}

function read(heap, word) {
  const page = readFileSync(heap.control);
  return page.length < 64 ? 0n : page.readBigUInt64LE(WORD[word] * 8);
}

function write(heap, word, value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  const fd = openSync(heap.control, "r+");
  writeSync(fd, bytes, 0, 8, WORD[word] * 8);
  closeSync(fd);
}
