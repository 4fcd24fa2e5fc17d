/** What a POSIX message queue tells when it is read. */
import { expect, test } from "vitest";
import { parseNotified } from "../../src/tracee/posix-queue.js";

test("who is to be told of the next message", () => {
  expect(parseNotified("QSIZE:0          NOTIFY:0     SIGNO:10    NOTIFY_PID:4711  \n")).toBe(4711);
  expect(parseNotified("QSIZE:129        NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n")).toBe(0);
  expect(parseNotified("")).toBe(0);
});
