/** What is told of session and group; how programs come back into them is seen in test/e2e. */
import { expect, test } from "vitest";
import { groupFor, sessionDifferences } from "../../src/restore/session.js";
import { processState } from "./process-state.js";

const of = (ids: { pgid: number; sid: number }) => {
  const state = processState();
  return { process: { ...state.process, pid: 100, ...ids } };
};
const leader = of({ pgid: 100, sid: 100 });
const member = of({ pgid: 90, sid: 80 });

test("a leader leads again with --detach, and is told that it does not in the foreground", () => {
  expect(groupFor(leader, true)).toBe("session");
  expect(groupFor(leader, false)).toBe("own");
  expect(sessionDifferences(leader, true)).toEqual([]);
  expect(sessionDifferences(leader, false)[0]?.message).toMatch(/in the session of cr now/);
});

test("a member leads with --detach, which is told, and not in the foreground", () => {
  expect(groupFor(member, false)).toBe("shared");
  expect(sessionDifferences(member, false)).toEqual([]);
  expect(sessionDifferences(member, true)[0]?.message).toMatch(/it was in that of process 80/);
});
