/** Files and segments behind mappings, as a core may not tell them. */
import { describe, expect, test } from "vitest";
import { checkConsistency } from "../../src/core/consistency.js";
import type { FileState } from "../../src/state/fd.js";
import type { Segment } from "../../src/state/segment.js";
import { record } from "../restore/recorded.js";
import { errorOf } from "./error-of.js";
import { sampleState, vma } from "./sample-core.js";

const SHARED = { kind: "shared-file", deleted: true, prot: "rw-s" } as const;
const MEMFD = vma(0x10_0000n, 1, { ...SHARED, path: "/memfd:x", ino: 5n });
const SEGMENT = vma(0x20_0000n, 1, { ...SHARED, path: "/SYSV00000000", ino: 5n });
const segments = [MEMFD, SEGMENT].map(({ start, end, prot }) => ({
  ...{ kind: "load" as const, prot: prot.slice(0, 3), offset: 4096, address: start },
  ...{ fileBytes: 0, memoryBytes: Number(end - start) },
}));

const file = record("/bin/true", { id: 7, kind: "memfd", path: "/memfd:x (deleted)" });
const mapped = { starts: [MEMFD.start], file };
const segment: Segment = {
  ...{ id: 5, key: 0, sizeBytes: 4096, mode: 0o600, uid: 0, gid: 0 },
  ...{ removed: false, locked: false, starts: [SEGMENT.start], content: null },
};

function says(changes: Partial<FileState>): string {
  const files = { descriptions: [], descriptors: [], mapped: [mapped], segments: [segment], ...changes };
  const state = sampleState({ vmas: [MEMFD, SEGMENT], runs: [], files });
  const error = errorOf(() => checkConsistency(state, { path: "core", segments, tailOffset: 8192 }));
  return `${error.code} ${error.message}`;
}

describe("objects behind mappings", () => {
  test.each<[string, Partial<FileState>]>([
    ["the id of another open file", { descriptions: [{ ...file, id: 7 }] }],
    ["none that has no name", { mapped: [{ ...mapped, file: { ...file, kind: "regular" } }] }],
    ["none that has no name", { mapped: [{ ...mapped, file: { ...file, sizeBytes: -1 } }] }],
    ["mapped at 0x200000, where no such mapping", { mapped: [{ ...mapped, starts: [SEGMENT.start] }] }],
    ["mapped at 0x0, where no such mapping", { mapped: [{ ...mapped, starts: [] }] }],
    ["the segment 5 is mapped at 0x100000", { segments: [{ ...segment, starts: [MEMFD.start] }] }],
    ["the segment 6 is mapped at 0x200000", { segments: [{ ...segment, id: 6 }] }],
    ["is of a segment that is not there", { segments: [] }],
    [
      "the content of the segment 5 is outside the data",
      { segments: [{ ...segment, content: { fileOffset: 8192, lengthBytes: 1, crc32c: [0] } }] },
    ],
  ])("%s", (what, changes) => {
    expect(says(changes)).toMatch(/^BAD_CORE/);
    expect(says(changes)).toContain(what);
  });
});
