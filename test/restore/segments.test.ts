/** System V segments that cannot be had again are refused by name, and what was made for a restore that fails goes. */
import { execFileSync } from "node:child_process";
import { describe, expect, onTestFinished, test } from "vitest";
import { openSegments } from "../../src/restore/segments.js";
import type { Segment } from "../../src/state/segment.js";
import { makeSegment, readSegments, removeSegment } from "../../src/tracee/segments.js";
import { message } from "./failure.js";
import { processState } from "./process-state.js";

/** Behind the 64 places that the kernel goes round in by itself, and not those of other tests. */
const PLACE = 3100;
const idAt = (round: number) => round * 32_768 + PLACE;

function ownerWith(changes: Partial<Segment>) {
  const segment: Segment = {
    ...{ id: idAt(1), key: 0, sizeBytes: 4096, mode: 0o600, uid: 0, gid: 0 },
    ...{ removed: false, locked: false, starts: [], content: null },
    ...changes,
  };
  const state = processState();
  return { state: { ...state, files: { ...state.files, segments: [segment] } }, coreFd: -1 };
}

function made(id: number): void {
  expect(makeSegment({ id, key: 0, sizeBytes: 4096, mode: 0o600 })).toBe(id);
  onTestFinished(() => removeSegment(id));
}

const isThere = (id: number) => readSegments().some((one) => one.id === id);

describe("openSegments", () => {
  test("refuses an id that another one has by now", () => {
    made(idAt(1));
    expect(message(() => openSegments([ownerWith({ sizeBytes: 8192 })]))).toBe(
      `FILE_CHANGED: restore the System V segment ${idAt(1)} (key 0x00000000): another one has its id (key 0x00000000, 4096 bytes)`,
    );
    expect(isThere(idAt(1))).toBe(true);
  });

  test("refuses an id whose place is taken", () => {
    made(idAt(2));
    expect(message(() => openSegments([ownerWith({ id: idAt(3), key: 77 })]))).toBe(
      `FILE_CHANGED: restore the System V segment ${idAt(3)} (key 0x0000004d): its place in the kernel's table is taken`,
    );
    expect(readSegments().some(({ key }) => key === 77)).toBe(false);
  });

  test("refuses one of a size that the kernel does not make", () => {
    expect(message(() => openSegments([ownerWith({ id: idAt(4), sizeBytes: 0 })]))).toMatch(
      /^FILE_CHANGED: .*: it cannot be made again \(EINVAL\)$/,
    );
  });

  test("removes what it made unless it is kept", () => {
    const owner = ownerWith({ id: idAt(5) });
    const opened = openSegments([owner]);
    expect(opened.softErrors).toMatchObject([{ kind: "segment", id: String(idAt(5)) }]);
    opened[Symbol.dispose]();
    expect(isThere(idAt(5))).toBe(false);
    const kept = openSegments([owner]);
    onTestFinished(() => removeSegment(idAt(5)));
    kept.keep();
    kept[Symbol.dispose]();
    expect(isThere(idAt(5))).toBe(true);
  });

  test("says what an ordinary user lacks", () => {
    const dist = new URL("../../dist/restore/segments.js", import.meta.url).href;
    const { state } = ownerWith({ id: idAt(6) });
    const program = `import { openSegments } from ${JSON.stringify(dist)};
      try { openSegments([{ coreFd: -1, state: { vmas: [], runs: [], files: { segments: ${JSON.stringify(state.files.segments)} } } }]); }
      catch (error) { console.log(error.code + ": " + error.message); }`;
    const as = ["--reuid=65534", "--regid=65534", "--clear-groups", process.execPath];
    const said = execFileSync("setpriv", [...as, "--input-type=module", "-e", program], { encoding: "utf8" });
    expect(said.trim()).toBe(
      `NOT_PERMITTED: restore the System V segment ${idAt(6)} (key 0x00000000): it is gone, and only the id it had will do, which cr may not do`,
    );
  });
});
