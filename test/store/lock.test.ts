/** The lock of a job: one holder at a time, whoever else is alive, dead or the same process. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Job } from "../../src/store/job.js";
import { type LockOwner, lockHolder, lockJob } from "../../src/store/lock.js";

let job: Job;
beforeEach(() => {
  job = { name: "job", folder: mkdtempSync(join(tmpdir(), "recore-lock-")) };
});
afterEach(() => rmSync(job.folder, { recursive: true }));

const everybody = () => true;
const nobody = () => false;

function owner(pid: number): LockOwner {
  return { pid, startTicks: BigInt(pid) * 10n, bootId: "0b1c-2d" };
}

test("a living holder keeps others out until it lets go", async () => {
  const lock = await lockJob(job, owner(1), everybody);
  await expect(lockJob(job, owner(2), everybody)).rejects.toMatchObject({
    code: "JOB_EXISTS",
    message: "watching job job: cr with pid 1 does so already",
    data: { pid: 1 },
  });
  expect(lockHolder(job, everybody)).toEqual(owner(1));
  lock.release();
  (await lockJob(job, owner(2), everybody)).release();
  expect(readdirSync(job.folder)).toEqual([]);
});

test("the same process cannot have it twice", async () => {
  await lockJob(job, owner(1), everybody);
  await expect(lockJob(job, owner(1), everybody)).rejects.toMatchObject({ code: "JOB_EXISTS" });
  expect(lockHolder(job, everybody)).toEqual(owner(1));
});

test("the lock of a dead holder is taken over and its file removed", async () => {
  await lockJob(job, owner(1), everybody);
  await lockJob(job, owner(2), nobody);
  expect(readdirSync(job.folder)).toEqual(["lock.0b1c-2d.2.20"]);
});

test("of many that claim at once, one gets it", async () => {
  const claims = Array.from({ length: 8 }, (_, index) => lockJob(job, owner(index + 1), everybody));
  const outcomes = await Promise.allSettled(claims);
  expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(1);
});

test("files that are no locks are let alone", async () => {
  writeFileSync(join(job.folder, "lock.txt"), "");
  writeFileSync(join(job.folder, "core.1.000001"), "x");
  (await lockJob(job, owner(1), nobody)).release();
  expect(readdirSync(job.folder)).toEqual(["core.1.000001", "lock.txt"]);
});
