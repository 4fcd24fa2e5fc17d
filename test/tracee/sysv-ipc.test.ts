/** The kernel's lists of System V semaphores and message queues. */
import { expect, test } from "vitest";
import { parseQueues, parseSemaphores } from "../../src/tracee/sysv-ipc.js";

test("sets of semaphores", () => {
  const text = `       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime
-559038737         13   640          2  1000   100     0     0 1795169170 1795169161
`;
  expect(parseSemaphores(text)).toEqual([
    { key: -559038737, id: 13, mode: 0o640, count: 2, uid: 1000, gid: 100, usedAt: 1795169170 },
  ]);
});

test("queues", () => {
  const text = `       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime
         0          5  1600          100          2    71    72  1000   100     0     0         11         12         10
`;
  const users = { sender: 71, sentAt: 11, receiver: 72, receivedAt: 12 };
  const owner = { mode: 0o600, uid: 1000, gid: 100 };
  expect(parseQueues(text)).toEqual([{ key: 0, id: 5, ...owner, bytes: 100, count: 2, ...users }]);
  expect(parseQueues("")).toEqual([]);
});
