/** Pseudo-terminals made again: under the recorded number, or told. */
import { closeSync, readlinkSync } from "node:fs";
import { expect, test } from "vitest";
import { openPtys } from "../../src/restore/ptys.js";
import type { FileDescription } from "../../src/state/fd.js";
import { openMaster, ptySettings } from "../../src/tracee/pty.js";

function description(id: number, end: "master" | "slave", object: object): FileDescription {
  const identity = {
    dev: "0:1",
    ino: 9n,
    mode: 0o020620,
    rdev: "136:0",
    uid: process.getuid?.() ?? 0,
    gid: 5,
  };
  return {
    id,
    kind: "pty",
    path: "/dev/ptmx",
    deleted: false,
    flags: 2,
    position: 0n,
    ...identity,
    sizeBytes: 0,
    mtimeNs: 0n,
    content: null,
    watches: null,
    object: { kind: "pty", end, exclusive: false, ...object } as FileDescription["object"],
    owner: null,
    locks: [],
  };
}

/** Makes a pair that had this number; the paths of its slave, and what was told. */
function make(index: number): { readonly slave: string | undefined; readonly told: readonly string[] } {
  const model = openMaster();
  const settings = { ...ptySettings(model.fd), window: "2100630005000600", index };
  closeSync(model.fd);
  const opened: number[] = [];
  try {
    const wanted = [description(0, "slave", settings), description(1, "master", settings)];
    const told = openPtys(wanted, (_one, fd) => void opened.push(fd));
    expect(ptySettings(opened[1] ?? -1)).toMatchObject({
      window: settings.window,
      termios: settings.termios,
    });
    return { slave: readlinkSync(`/proc/self/fd/${opened[0]}`), told: told.map(({ message }) => message) };
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

test("a number that is taken is told, with the one it has now", () => {
  const taken = openMaster();
  const { slave, told } = make(taken.index);
  closeSync(taken.fd);
  expect(slave).not.toBe(`/dev/pts/${taken.index}`);
  expect(told).toEqual([`its pseudo-terminal is ${slave} now: /dev/pts/${taken.index} is taken`]);
});

test("a number above the lowest free one is had again", () => {
  // Others may take it in between: then that is told.
  const wanted = openMaster();
  closeSync(wanted.fd);
  const { slave, told } = make(wanted.index + 3);
  expect(told.length).toBe(slave === `/dev/pts/${wanted.index + 3}` ? 0 : 1);
});
