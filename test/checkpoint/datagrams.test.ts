/** Which unread datagrams of UDP can be sent again. */
import { expect, test } from "vitest";
import { refusedDatagrams } from "../../src/checkpoint/datagrams.js";
import { isEverywhere, isLoopback, toLoopback } from "../../src/state/socket-address.js";

/** struct sockaddr_in of port 80. */
function v4(host: string): Buffer {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(2, 0);
  address.writeUInt16BE(80, 2);
  Buffer.from(host.split(".").map(Number)).copy(address, 4);
  return address;
}

/** struct sockaddr_in6 of port 80. */
function v6(host: string): Buffer {
  const address = Buffer.alloc(28);
  address.writeUInt16LE(10, 0);
  address.writeUInt16BE(80, 2);
  Buffer.from(host, "hex").copy(address, 8);
  return address;
}

const ZEROS = "0".repeat(31);

test("what came from outside is refused by its address", () => {
  const queue = [v4("127.0.0.2"), v4("192.0.2.7")].map((from) => ({
    bytes: Buffer.from("x"),
    from: from.toString("hex"),
    fds: [],
  }));
  expect(refusedDatagrams({ pid: 0, fd: 0 }, queue)).toBe(
    "unread messages from 192.0.2.7:80, whom nobody can send for (UDP)",
  );
});

test("addresses of loopback, and of all of the host", () => {
  expect([v4("127.0.0.1"), v4("127.9.9.9"), v6(`${ZEROS}1`)].every(isLoopback)).toBe(true);
  expect(
    [v4("10.0.0.1"), v4("0.0.0.0"), v6(`${ZEROS}0`), v6(`${ZEROS}2`), Buffer.alloc(0)].some(isLoopback),
  ).toBe(false);
  expect([v4("0.0.0.0"), v6(`${ZEROS}0`)].every(isEverywhere)).toBe(true);
  expect([v4("0.0.0.1"), v6(`${ZEROS}1`)].some(isEverywhere)).toBe(false);
  expect(toLoopback(v4("0.0.0.0"))).toEqual(v4("127.0.0.1"));
  expect(toLoopback(v6(`${ZEROS}0`))).toEqual(v6(`${ZEROS}1`));
  expect(toLoopback(v4("127.0.0.3"))).toEqual(v4("127.0.0.3"));
});
