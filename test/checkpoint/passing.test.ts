/** What passes by itself is waited for; anything else is told at once. */
import { expect, test } from "vitest";
import { untilPassed } from "../../src/checkpoint/passing.js";
import { type Refusal, unsupportedState } from "../../src/checkpoint/refusal.js";

const unread: Refusal = { kind: "descriptor", id: "fd:3", what: "unread bytes", passing: true };
const other: Refusal = { kind: "descriptor", id: "fd:4", what: "a device" };

/** Fails so often with this, then gives the number of attempts. */
function failing(times: number, refusals: readonly Refusal[]): () => number {
  let attempts = 0;
  return () => {
    attempts += 1;
    if (attempts <= times) throw unsupportedState(7, refusals);
    return attempts;
  };
}

test("bytes on their way are waited for", async () => {
  expect(await untilPassed(failing(3, [unread, unread]))).toBe(4);
});

test("what stays beside them is not", async () => {
  await expect(untilPassed(failing(1, [unread, other]))).rejects.toThrow(/unread bytes; fd:4: a device/);
});

test("nor are they for ever", async () => {
  await expect(untilPassed(failing(Number.POSITIVE_INFINITY, [unread]))).rejects.toThrow(/unread bytes/);
});
