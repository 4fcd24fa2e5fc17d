/** What /proc tells of the network and of System V objects of a namespace. */
import { expect, test } from "vitest";
import { parseAddresses, parseInterfaces } from "../../src/tracee/loopback.js";
import { parseUnixPaths } from "../../src/tracee/unix-paths.js";

test("interfaces but the loopback one and those that are in every namespace", () => {
  const dev = "Inter-|   Receive\n face |bytes\n    lo:  0 0\nwlan0.1:  0 0\n  sit0: 0 0\nname:with: 1 2\n";
  expect(parseInterfaces(dev)).toEqual(["wlan0.1", "name:with"]);
  expect(parseInterfaces("")).toEqual([]);
});

test("addresses but those that a loopback interface has by itself", () => {
  const trie =
    "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 10.0.0.2\n        /32 host LOCAL\n     |-- 127.255.255.255\n        /32 link BROADCAST\n";
  const v6 = "00000000000000000000000000000001 01 80 10 80       lo\nfe80000000000000 02 40 20 80 eth0\n";
  expect(parseAddresses(trie + trie, v6)).toEqual(["10.0.0.2", "fe80000000000000"]);
  expect(parseAddresses("", "")).toEqual([]);
});

test("paths of unix sockets by their inodes, and no abstract names", () => {
  const text =
    "Num       RefCount Protocol Flags    Type St Inode Path\n0000: 00000002 00000000 00010000 0001 01  7010 /run/a b\n0000: 00000003 00000000 00000000 0001 03  7011\n0000: 00000002 00000000 00010000 0001 01  7012 @abstract\n";
  expect([...parseUnixPaths(text)]).toEqual([[7010n, "/run/a b"]]);
});
