/**
 * The lock of a job: a file whose name is its owner, `lock.<boot>.<pid>.<start time>`. Claim first, look after: who
 * sees another living owner's file gives way, so two never hold a job at once. A dead owner's file can be removed by
 * anybody without a race, since no later owner ever has that name. Whether an owner lives, the caller knows.
 */
import { closeSync, openSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CrError, isErrno } from "../errors.js";
import type { Job } from "./job.js";

export interface LockOwner {
  readonly pid: number;
  /** Clock ticks since boot; with the pid it names a process. */
  readonly startTicks: bigint;
  /** Random id of the boot (a UUID). */
  readonly bootId: string;
}

const CLAIMS = 4;

/**
 * Takes the lock and returns what releases it; JOB_EXISTS when a living process has it. Two that claim at the very
 * same time may both see the other: each steps back and tries again a little later, at a time of its own.
 */
export async function lockJob(
  job: Job,
  self: LockOwner,
  isAlive: (owner: LockOwner) => boolean,
): Promise<{ release(): void }> {
  const name = lockName(self);
  for (let claim = 1; ; claim += 1) {
    createClaim(job, name);
    const holder = otherHolders(job, name, isAlive)[0];
    if (holder === undefined) return { release: () => rmSync(join(job.folder, name), { force: true }) };
    rmSync(join(job.folder, name), { force: true });
    if (claim === CLAIMS) throw taken(job, holder.pid);
    await new Promise((resolve) => setTimeout(resolve, claim * (2 + (self.pid % 17))));
  }
}

/** The living owner of a job's lock, if there is one. */
export function lockHolder(job: Job, isAlive: (owner: LockOwner) => boolean): LockOwner | undefined {
  return otherHolders(job, "", isAlive)[0];
}

function createClaim(job: Job, name: string): void {
  try {
    closeSync(openSync(join(job.folder, name), "wx", 0o600));
  } catch (error) {
    // The name is this very process: another watch in it has the job.
    if (isErrno(error, "EEXIST")) throw taken(job, process.pid);
    const reason = error instanceof Error ? error.message : String(error);
    throw new CrError("OUTPUT_FAILED", `locking job ${job.name}: ${reason}`, {
      hint: `check who may write to ${job.folder}`,
      cause: error,
    });
  }
}

function otherHolders(job: Job, own: string, isAlive: (owner: LockOwner) => boolean): readonly LockOwner[] {
  return readdirSync(job.folder).flatMap((file) => {
    const match = /^lock\.([0-9a-f-]*)\.(\d+)\.(\d+)$/.exec(file);
    if (match === null || file === own) return [];
    const [, bootId = "", pid = "", ticks = ""] = match;
    const owner = { bootId, pid: Number(pid), startTicks: BigInt(ticks) };
    if (isAlive(owner)) return [owner];
    rmSync(join(job.folder, file), { force: true });
    return [];
  });
}

function lockName(owner: LockOwner): string {
  return `lock.${owner.bootId}.${owner.pid}.${owner.startTicks}`;
}

function taken(job: Job, pid: number): CrError {
  return new CrError("JOB_EXISTS", `watching job ${job.name}: cr with pid ${pid} does so already`, {
    hint: `end that one, or choose another name with --name`,
    data: { pid },
  });
}
