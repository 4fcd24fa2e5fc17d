/** How much memory cr takes: its peak, which the kernel keeps (VmHWM of proc_pid_status(5)). */
import { readFileSync } from "node:fs";
import type { RunningCr } from "./cr.js";
import { sleep } from "./eventually.js";

/** The most memory cr had resident until its end (VmHWM of proc_pid_status(5)), in MiB. */
export async function peakMemoryMib({ pid, done }: RunningCr): Promise<number> {
  let ended = false;
  let peakKib = 0;
  done.then(() => {
    ended = true;
  });
  while (!ended) {
    try {
      const line = readFileSync(`/proc/${pid}/status`, "utf8").match(/^VmHWM:\s*(\d+) kB$/m);
      peakKib = Math.max(peakKib, Number(line?.[1] ?? 0));
    } catch {
      // cr has ended: its last value stands.
    }
    await sleep(20);
  }
  return peakKib / 1024;
}
