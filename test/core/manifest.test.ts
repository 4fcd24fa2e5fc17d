/** The manifest of a process tree: what is written is read, and what was altered or contradicts itself is refused. */
import { describe, expect, it } from "vitest";
import { encodeManifest } from "../../src/core/manifest.js";
import { decodeManifest } from "../../src/core/manifest-read.js";
import type { Tree, TreeMember } from "../../src/state/tree.js";
import { errorOf } from "./error-of.js";

const member = (pid: number, parent: number, more: Partial<TreeMember> = {}): TreeMember => ({
  pid,
  parent,
  group: 100,
  session: 100,
  terminal: { dev: "136:3", name: "/dev/pts/3", foregroundGroup: 100 },
  exitSignal: 17,
  core: { file: `core.${pid}`, sizeBytes: 8192, checksum: "0123abcd" },
  zombie: null,
  shares: [],
  ...more,
});
const dead = { core: null, zombie: { comm: "true", waitStatus: 256, uid: 0 } };

const tree = (members: readonly TreeMember[]): Tree => ({
  root: 100,
  takenMs: 1_790_000_000_000,
  hostname: "here",
  kernel: "6.18",
  bootId: "b",
  tool: "recore",
  members: [...members],
  memory: [{ dev: "00:01", ino: 7n, sizeBytes: 4096, members: [100, 101] }],
  softErrors: [],
});
const family = tree([member(100, 0), member(101, 100), member(102, 101, dead)]);
const decode = (given: Tree) => decodeManifest(encodeManifest(given), "manifest.json");

describe("manifest", () => {
  it("is read as it was written", () => {
    expect(decode(family)).toEqual(family);
  });

  it("shows every altered byte", () => {
    const bytes = encodeManifest(family);
    for (const at of [0, 15, 60, bytes.length - 2]) {
      const altered = Buffer.from(bytes);
      altered[at] = (altered[at] ?? 0) ^ 1;
      expect(["CORE_CORRUPT", "BAD_CORE"]).toContain(errorOf(() => decodeManifest(altered, "m")).code);
    }
    const { message } = errorOf(() => decodeManifest(bytes.subarray(0, -1), "/b/manifest.json"));
    expect(message).toMatch(/^read manifest \/b\/manifest.json: its checksum is [0-9a-f]{8}, /);
  });

  it.each<[string, TreeMember[]]>([
    ["process 101 is there twice", [member(100, 0), member(101, 100), member(101, 100)]],
    [
      "process 101 has the parent 102, a living one in front of it is required",
      [member(100, 0), member(101, 102)],
    ],
    [
      "process 102 has the parent 101, a living one in front of it is required",
      [member(100, 0), member(101, 100, dead), member(102, 101)],
    ],
    ["process 101 stands where the root is required", [member(101, 0)]],
    ["process 101 stands where a child is required", [member(100, 0), member(101, 0)]],
    [
      "process 101 has to have either a core or a status of its end",
      [member(100, 0), member(101, 100, { core: null })],
    ],
    [
      "process 101 has the core core.100, core.101 is required",
      [member(100, 0), member(101, 100, { core: { file: "core.100", sizeBytes: 1, checksum: "00000000" } })],
    ],
    [
      "process 101 shares its fs with 102, which is not in front of it",
      [member(100, 0), member(101, 100, { shares: [{ what: "fs", with: 102 }] })],
    ],
    ["its root is dead", [member(100, 0, dead)]],
    ["the memory 7 belongs to 101, which is no member", [member(100, 0)]],
  ])("refuses: %s", (what, members) => {
    const { code, message } = errorOf(() => decode(tree(members)));
    expect(code).toBe("BAD_CORE");
    expect(message).toContain(what);
  });
});
