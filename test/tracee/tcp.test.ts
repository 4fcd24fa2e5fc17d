/** What is asked about TCP connections: by their addresses, by their counters, and under the name of a keeper. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { parseInetDiag, tcpSocketAt } from "../../src/tracee/inet-diag.js";
import { isHeld, KeeperFailed, releaseHeld, TcpKeeper } from "../../src/tracee/tcp-keeper.js";
import { hasArrived } from "../../src/tracee/tcp-progress.js";
import { eventually } from "../harness/eventually.js";

function loopback(port: number): string {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(2, 0);
  address.writeUInt16BE(port, 2);
  Buffer.from([127, 0, 0, 1]).copy(address, 4);
  return address.toString("hex");
}

/** A connection of this process with itself, and the descriptor of the end that connected. */
async function withConnection(act: (one: { local: string; remote: string; fd: number }) => Promise<void>) {
  const server = createServer((socket) => socket.on("error", () => {})).listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  await once(client, "connect");
  try {
    const { fd } = (client as unknown as { _handle: { fd: number } })._handle;
    await act({ local: loopback(client.localPort ?? 0), remote: loopback(client.remotePort ?? 0), fd });
  } finally {
    client.destroy();
    server.close();
  }
}

describe("inet-diag", () => {
  test("finds a connection by its ends, and its descriptor by the inode", () =>
    withConnection(async ({ local, remote, fd }) => {
      const found = tcpSocketAt({ local, remote });
      expect(found?.state).toBe(1);
      expect(readlinkSync(`/proc/self/fd/${fd}`)).toBe(`socket:[${found?.inode}]`);
      const other = tcpSocketAt({ local: remote, remote: local });
      expect(other?.state).toBe(1);
      expect(other?.inode).not.toBe(found?.inode);
    }));

  test("takes no listening socket on the same port for a connection", () =>
    withConnection(async ({ remote }) => {
      expect(tcpSocketAt({ local: remote, remote: loopback(1) })).toBeNull();
    }));

  test("takes no error and nothing short for an answer", () => {
    expect(parseInetDiag(Buffer.alloc(0))).toBeNull();
    const error = Buffer.alloc(100);
    error.writeUInt16LE(2, 4);
    expect(parseInetDiag(error)).toBeNull();
  });
});

describe("hasArrived", () => {
  const idle = { written: 100n, received: 50n, unsent: 0 };
  test.each([
    ["all of both", idle, { written: 50n, received: 100n, unsent: 0 }, true],
    ["but for the SYN", { ...idle, written: 101n }, { written: 50n, received: 100n, unsent: 0 }, true],
    ["not what is held back", { ...idle, unsent: 1 }, { written: 50n, received: 100n, unsent: 0 }, false],
    [
      "not what is on its way",
      { ...idle, written: 103n },
      { written: 50n, received: 100n, unsent: 0 },
      false,
    ],
    [
      "not when counters do not fit",
      { ...idle, written: 90n },
      { written: 50n, received: 100n, unsent: 0 },
      false,
    ],
    ["not when an end is unknown", idle, undefined, false],
  ] as const)("%s", (...[, one, other, arrived]) => {
    expect(hasArrived(one, other)).toBe(arrived);
  });
});

describe("the keeper", () => {
  const name = () => `recore-${randomBytes(16).toString("hex")}`;

  test("holds packets, and lets them go on when cr hangs up", () =>
    withConnection(async ({ fd }) => {
      const held = name();
      const socket = { pid: process.pid, fd };
      const keeper = TcpKeeper.start({ holdMs: 60_000, name: held, hold: [socket], look: [], stop: [] });
      expect(isHeld(held)).toBe(true);
      keeper.enterRepair();
      keeper.leaveRepair();
      keeper.stopsTakenBack();
      keeper[Symbol.dispose]();
      await eventually("it is gone", () => !isHeld(held));
      expect(releaseHeld(held)).toBe(false);
    }));

  test("says what it cannot do, and ends", () => {
    const start = (fd: number, pid = process.pid) =>
      TcpKeeper.start({ holdMs: 1, name: name(), hold: [{ pid, fd }], look: [], stop: [] });
    expect(() => start(987_654)).toThrow(new KeeperFailed("take the socket: Bad file descriptor"));
    expect(() => start(0, 2 ** 22 + 1)).toThrow(new KeeperFailed("open the process: No such process"));
  });
});
