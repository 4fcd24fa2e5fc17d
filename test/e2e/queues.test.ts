/** What waits in sockets where it cannot be saved, and what a `cr` that dies leaves behind in them: nothing. */
import { createSocket } from "node:dgram";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ProcessState } from "../../src/state/process.js";
import { describeResult } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { throughLives } from "../harness/lives.js";
import { killHard, runsFreely } from "../harness/process.js";
import { expectRefusal, listing } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";
import { alterCore } from "./alter-core.js";

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
  ["backlog", "shut", /fd:\d+: a socket \S+ whose other end is closed \(unix\)/],
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
      const target = await scene.start([fixture("mailboxes"), "FOLDER"]);
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

const TREE = `
import os, socket, sys, time
door = socket.socket(socket.AF_UNIX)
door.bind(sys.argv[2])
door.listen(3)
near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
r, w = os.pipe()
child = os.fork()
if child == 0:
    door.close(); near.close(); os.close(r)
    visitor = socket.socket(socket.AF_UNIX)
    visitor.connect(sys.argv[2])
    far.send(b'one'); socket.send_fds(far, [b'two'], [w]); far.send(b'three')
    os.write(w, b'x')
    assert visitor.recv(10) == b'welcome'
    visitor.send(b'thanks')
    os._exit(7)
far.close(); os.close(w)
os.read(r, 1)
print('ready', flush=True)
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
assert near.recv(10) == b'one'
data, fds, _, _ = socket.recv_fds(near, 10, 1)
assert data == b'two' and os.write(fds[0], b'y') == 1 and os.read(r, 1) == b'y'
assert near.recv(10) == b'three'
guest, _ = door.accept()
guest.send(b'welcome')
assert guest.recv(10) == b'thanks' and os.waitpid(child, 0)[1] == 7 << 8
print('ok', flush=True)
`;

test.concurrent("what waits between the members of a tree comes back", () =>
  withScene(async (scene) => {
    const argv = ["python3", "-c", TREE, "FOLDER/go", "FOLDER/door"];
    const started = (target: Target) => target.says("ready");
    const target = await throughLives(scene, { argv, times: 1, started });
    expect(target.output()).toBe("ready\nok\n");
  }));

test.concurrent("empty messages, which are seen once only, are remembered from one checkpoint to the next", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("mailboxes"), "FOLDER"]);
    await target.says("ready");
    const home = join(scene.folder, "home");
    const watch = ["watch", String(target.pid), "--every", "300ms", "--name", "queues"];
    const cr = scene.startCr(watch, { env: { CR_HOME: home } });
    const second = join(home, "queues", `core.${target.pid}.000002`);
    await eventually("there is a second one", () => existsSync(second));
    target.go();
    expect(await target.ended(), target.output()).toBe("exited 0");
    const end = await cr.done;
    expect(end.status, describeResult(end)).toBe(0);
  }));

const LETTER = `
import socket, sys, time
box, sender = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM)
box.bind(('127.0.0.1', 0)); sender.bind(('127.0.0.1', 0))
sender.sendto(b'letter', box.getsockname())
print('from', sender.getsockname()[1], flush=True)
sender.close()
time.sleep(1000)
`;

test.concurrent("a restore says which sender's address it lacks, and what of a core does not fit", () =>
  withScene(async (scene) => {
    const target = await scene.start(["python3", "-c", LETTER]);
    await target.says("from");
    const [core, altered] = [join(scene.folder, "core"), join(scene.folder, "altered")];
    await checkpoint(scene, { target, core });
    await killHard(target);
    const port = Number(/from (\d+)/.exec(target.output())?.[1]);
    const taken = createSocket("udp4");
    await new Promise<void>((bound) => taken.bind(port, "127.0.0.1", bound));
    const names = `cannot bind a socket for an unread message from 127.0.0.1:${port}: EADDRINUSE`;
    expectRefusal(await scene.cr(["restore", "-d", core]), { codes: ["RESTORE_FAILED"], names });
    await new Promise<void>((closed) => taken.close(() => closed()));
    alterCore(core, altered, { state: withLongerMessages });
    const lies = /the messages that wait in socket:\[\d+\] are longer than their bytes/;
    expectRefusal(await scene.cr(["restore", "-d", altered]), { codes: ["CORE_CORRUPT"], names: lies });
  }));

function withLongerMessages(state: ProcessState): ProcessState {
  const descriptions = state.files.descriptions.map((one) => {
    if (one.object?.kind !== "socket" || one.object.queue === null) return one;
    const queue = one.object.queue.map((message) => ({ ...message, bytes: message.bytes + 1 }));
    return { ...one, object: { ...one.object, queue } };
  });
  return { ...state, files: { ...state.files, descriptions } };
}
