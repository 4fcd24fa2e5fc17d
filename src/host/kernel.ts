/**
 * The running kernel and the features Recore uses, by the version that brought them. Where an effect can be
 * tried cheaply the user of the feature tries it; the version here serves hints and `cr doctor`.
 */
import { release } from "node:os";
import { CrError } from "../errors.js";

/** First kernel with each feature (man pages: clone(2), ioctl_pagemap_scan, prctl(2), capabilities(7)). */
export const KERNEL_FEATURES = {
  ptraceGetRseq: [5, 13],
  clone3SetTid: [5, 5],
  capCheckpointRestore: [5, 9],
  pidfdGetfd: [5, 6],
  pagemapScan: [6, 7],
  guardRegions: [6, 13],
  timerRestoreIds: [6, 15],
} as const satisfies Record<string, readonly [number, number]>;

export type KernelFeature = keyof typeof KERNEL_FEATURES;

/** Everything a checkpoint and a restore of one process rest on is there from this version on. */
export const OLDEST_KERNEL = KERNEL_FEATURES.ptraceGetRseq;

/** `uname -r`. */
export function kernelRelease(): string {
  return release();
}

/** True when the kernel's version has the feature; distributions may have brought it to older versions. */
export function kernelHas(feature: KernelFeature, running: string = kernelRelease()): boolean {
  return isAtLeast(running, KERNEL_FEATURES[feature]);
}

/** Refuses a kernel older than Recore can work on: KERNEL_TOO_OLD. */
export function requireKernel(running: string = kernelRelease()): void {
  if (isAtLeast(running, OLDEST_KERNEL)) return;
  throw new CrError(
    "KERNEL_TOO_OLD",
    `this kernel is Linux ${running}: ${OLDEST_KERNEL.join(".")} or later is required`,
    { hint: "boot a newer kernel; most distributions offer one as a package" },
  );
}

function isAtLeast(running: string, [major, minor]: readonly [number, number]): boolean {
  const [runningMajor = 0, runningMinor = 0] = running.split(/[.-]/).map(Number);
  return runningMajor > major || (runningMajor === major && runningMinor >= minor);
}
