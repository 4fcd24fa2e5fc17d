/** Ids and numbers of programs in namespaces of their own. */
import { expect, test } from "vitest";
import { asInside } from "../../src/restore/inside-users.js";
import { makeSpaces, pidsInside } from "../../src/restore/spaces.js";
import type { Credentials } from "../../src/state/credentials.js";
import type { ProcessState } from "../../src/state/process.js";

const ids = (id: number) => ({ real: id, effective: id, saved: id, fs: id });
const WHO = { uid: ids(1005), gid: ids(7), groups: [7, 99], securebits: 0 } as unknown as Credentials;

test("ids as they are named inside; those without a name stay", () => {
  const uids: [number, number, number][] = [[0, 1000, 10]];
  const gids: [number, number, number][] = [[0, 7, 1]];
  const inside = asInside(WHO, { id: "1", uids, gids, setgroups: false });
  expect(inside).toMatchObject({ uid: ids(5), gid: ids(0), groups: [0, 99] });
  expect(asInside(WHO, undefined)).toBe(WHO);
});

const member = (numbers: [number, number][]) => ({
  state: { process: { spaces: { pid: { id: "1", ids: numbers } } } } as unknown as ProcessState,
});
const making = (...pids: number[]) => ({
  steps: pids.map((pid) => ({ do: "make", pid, by: 10, sibling: false }) as const),
  ghosts: [],
  images: new Map(),
  softErrors: [],
});

test("numbers inside a pid namespace, whose process 1 is made first", () => {
  const states = [
    member([[11, 1]]),
    member([
      [11, 1],
      [12, 2],
    ]),
  ];
  expect(pidsInside(states, making(11, 12))).toEqual({
    numbers: new Map([
      [11, 1],
      [12, 2],
    ]),
    isCloned: false,
  });
  expect(pidsInside([], making(11))).toEqual({});
  expect(() => pidsInside(states, making(12, 11))).toThrow(/process 2 is the first in it/);
  expect(() => pidsInside(states, making(11, 13))).toThrow(/process 13 has ended in it/);
});

test("without recorded namespaces nothing is made", () => {
  using spaces = makeSpaces({ process: {} } as unknown as ProcessState);
  expect(spaces).toMatchObject({ softErrors: [], areEntered: false });
});
