/** What waits in sockets where it cannot be saved, and what a `cr` that dies leaves behind in them: nothing. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { eventually } from "../harness/eventually.js";
import { runsFreely } from "../harness/process.js";
import { expectRefusal, listing } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

/** Fixture and what it is to set up. */
const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  [
    "unread",
    "nobodys",
    /fd:\d+: a descriptor on its way \(SCM_RIGHTS\) of \S+, which nobody in it has open in socket:/,
  ],
  ["unread", "behind", /fd:\d+: descriptors on their way \(SCM_RIGHTS\) at an unknown byte in socket:/],
  ["unread", "empty", /fd:\d+: unread messages that cannot all be seen in socket:/],
  ["unread", "told", /fd:\d+: unread messages that tell their sender \(SO_PASSCRED\) in socket:/],
  ["unread", "tcp", /fd:\d+: a socket \(socket:\[\d+\]\) with SO_PEEK_OFF set \(TCP\)/],
  [
    "unread",
    "stamped",
    /fd:\d+: unread messages that tell more than their sender \(SO_TIMESTAMP, .*\) in socket:/,
  ],
  [
    "unread",
    "shared",
    /fd:\d+: unread messages at an address that others may share \(SO_REUSEADDR, .*\) in socket:/,
  ],
  ["backlog", "sent", /fd:\d+: a socket \S+ with a connection to accept in which bytes wait \(unix\)/],
  ["backlog", "gone", /fd:\d+: a socket \S+ with a connection to accept that was closed \(unix\)/],
  ["backlog", "outside", /fd:\d+: a socket \S+ with a connection to accept from outside \(unix, .*\d+/],
  ["backlog", "sent-tcp", /with a connection to accept from 127\.0\.0\.1:\d+ in which bytes wait \(TCP\)/],
  ["backlog", "half-tcp", /with 1 connections to accept that are ended, or from outside \(TCP\)/],
];

describe("unread and refused by name", () => {
  test.concurrent.each(REFUSED)("%s: %s", (name, kind, names) =>
    withScene(async (scene) => {
      const target = await scene.start([fixture(name), "FOLDER", kind]);
      await target.says("ready");
      const before = listing(scene.folder);
      const result = await scene.cr(["checkpoint", String(target.pid), "-o", join(scene.folder, "core")]);
      expectRefusal(result, { codes: ["UNSUPPORTED_STATE"], names });
      expect(listing(scene.folder)).toEqual(before);
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    }),
  );
});

/** The fixture checks SO_PEEK_OFF of its sockets, and that nothing is missing. */
test.concurrent.each(["in-queues", "in-queues:error"])(
  "a cr that ends at %s leaves nothing behind",
  (point) =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("queues"), "FOLDER"]);
      await target.says("ready");
      const env = { CR_FAULT: point };
      const result = await scene.cr(["checkpoint", String(target.pid), "-o", join(scene.folder, "core")], {
        env,
      });
      expect(result.status, describeResult(result)).not.toBe(0);
      await eventually("it runs again", () => runsFreely(target));
      target.go();
      expect(await target.ended(), target.output()).toBe("exited 0");
    }),
);
