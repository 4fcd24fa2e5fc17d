/** Files that are no good core: refused with one clear message by verify, inspect and restore; nothing is started. */
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ErrorCode } from "../../src/errors.js";
import { NOBODY } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { killHard, statOf } from "../harness/process.js";
import { expectRefusal, FAILED_FOREGROUND, listing } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";
import { boundaries, ELF_MACHINE_AT, edited, loads, notes, programHeaders, setAddress } from "./elf-edit.js";

/** A good core of the counter, and the pid it holds. */
let good = Buffer.alloc(0);
let pid = 0;
let folder = "";

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "recore-cores-"));
  await withScene(async (scene) => {
    const target = await scene.start([fixture("counter"), "FOLDER", "100000"]);
    await target.says("ready");
    await checkpoint(scene, { target, core: join(folder, "good") });
    good = readFileSync(join(folder, "good"));
    pid = target.pid;
    await killHard(target);
  });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CUT: readonly ErrorCode[] = ["BAD_CORE", "CORE_TRUNCATED", "CORE_CORRUPT"];

/** Expects the bytes to be refused by all verbs that read a core, and no process to come of them. */
async function refuses(name: string, bytes: Buffer, codes: readonly ErrorCode[]): Promise<void> {
  await withScene(async (scene) => {
    const core = join(scene.folder, name);
    writeFileSync(core, bytes, { mode: 0o600 });
    const before = listing(scene.folder);
    expectRefusal(await scene.cr(["verify", core]), { codes });
    expectRefusal(await scene.cr(["restore", core]), { codes, status: FAILED_FOREGROUND });
    expectRefusal(await scene.cr(["restore", "--detach", core]), { codes });
    expect(listing(scene.folder)).toEqual(before);
    expect(statOf(pid)).toBeNull();
  });
}

describe("a file that is no core of this machine is refused:", () => {
  const cases: readonly (readonly [string, () => Buffer])[] = [
    ["empty", () => Buffer.alloc(0)],
    ["text", () => Buffer.from("this is a text\n".repeat(1000))],
    ["an executable", () => readFileSync(fixture("counter"))],
    ["for another architecture", () => edited(good, (core) => core.writeUInt16LE(183, ELF_MACHINE_AT))],
    ["32-bit", () => edited(good, (core) => core.writeUInt8(1, 4))],
    ["big-endian", () => edited(good, (core) => core.writeUInt8(2, 5))],
    ["without segments", () => edited(good, (core) => core.writeUInt16LE(0, 56))],
    ["with headers of another size", () => edited(good, (core) => core.writeUInt16LE(57, 54))],
    ["with headers past its end", () => edited(good, (core) => core.writeBigUInt64LE(1n << 62n, 32))],
  ];
  test.concurrent.each(cases)("%s", (name, make) => refuses(name.replaceAll(" ", "-"), make(), CUT));
});

describe("a core whose segments or notes contradict one another is refused:", () => {
  const cases: readonly (readonly [string, (core: Buffer) => void])[] = [
    [
      "overlapping segments",
      (core) => {
        const [first, second] = loads(core);
        if (first && second) setAddress(core, second, first.address);
      },
    ],
    [
      "a segment in the kernel's half",
      (core) => {
        const first = loads(core)[0];
        if (first) setAddress(core, first, 0xffff800000000000n);
      },
    ],
    [
      "a segment that is not aligned",
      (core) => {
        const first = loads(core)[0];
        if (first) setAddress(core, first, first.address + 8n);
      },
    ],
    [
      "a segment larger than memory",
      (core) => {
        const last = loads(core).at(-1);
        if (last) core.writeBigUInt64LE(1n << 60n, last.at + 40);
      },
    ],
    [
      "a note longer than its segment",
      (core) => void core.writeUInt32LE(0x7fffffff, (notes(core)[0]?.at ?? 0) + 4),
    ],
    [
      "a note with an endless name",
      (core) => void core.writeUInt32LE(0xfffffff0, notes(core).at(-1)?.at ?? 0),
    ],
    [
      "notes past the end of the file",
      (core) => {
        const header = programHeaders(core).find(({ type }) => type === 4);
        if (header) core.writeBigUInt64LE(BigInt(core.length) * 2n, header.at + 32);
      },
    ],
  ];
  test.concurrent.each(cases)("%s", (name, edit) =>
    refuses(name.replaceAll(" ", "-"), edited(good, edit), CUT),
  );
});

test("a core cut at any boundary of its headers, notes and segments is refused", { timeout: 180_000 }, () =>
  withScene(async (scene) => {
    const cuts = boundaries(good);
    expect(cuts.length).toBeGreaterThan(40);
    const refuse = async (lengthBytes: number) => {
      const core = join(scene.folder, `cut.${lengthBytes}`);
      writeFileSync(core, good.subarray(0, lengthBytes), { mode: 0o600 });
      expectRefusal(await scene.cr(["verify", core]), { codes: CUT });
    };
    for (let at = 0; at < cuts.length; at += 3) await Promise.all(cuts.slice(at, at + 3).map(refuse));
    const middle = cuts[Math.floor(cuts.length / 2)] ?? 0;
    await refuses("cut-in-the-middle", good.subarray(0, middle), CUT);
  }),
);

test("a flipped bit anywhere is found by cr verify", { timeout: 120_000 }, () =>
  withScene(async (scene) => {
    const inside = (at: number, bytes: number) => at + Math.floor(bytes / 2);
    const places = [
      ...notes(good)
        .filter(({ bodyBytes }) => bodyBytes > 0)
        .map(({ bodyAt, bodyBytes }) => inside(bodyAt, bodyBytes)),
      ...loads(good)
        .filter(({ fileBytes }) => fileBytes > 0)
        .map(({ offset, fileBytes }) => inside(offset, fileBytes)),
    ];
    expect(places.length).toBeGreaterThan(20);
    const find = async (at: number) => {
      const core = join(scene.folder, `flip.${at}`);
      writeFileSync(
        core,
        edited(good, (copy) => void copy.writeUInt8(copy.readUInt8(at) ^ 0x10, at)),
        { mode: 0o600 },
      );
      expectRefusal(await scene.cr(["verify", core]), { codes: [...CUT, "FORMAT_VERSION"] });
    };
    for (let at = 0; at < places.length; at += 3) await Promise.all(places.slice(at, at + 3).map(find));
  }),
);

describe("a core that is not the caller's is refused:", () => {
  // For another owner it is restored as that one, who could not have been root.
  const cases: readonly (readonly [string, ErrorCode, (core: string) => void])[] = [
    ["of another owner", "CREDENTIALS", (core) => chownSync(core, NOBODY, NOBODY)],
    ["that others may write", "CORE_NOT_OWNED", (core) => chmodSync(core, 0o666)],
  ];
  test.concurrent.each(cases)("%s", (_name, code, change) =>
    withScene(async (scene) => {
      const core = join(scene.folder, "core");
      writeFileSync(core, good, { mode: 0o600 });
      change(core);
      const result = await scene.cr(["restore", core]);
      expectRefusal(result, { codes: [code], status: FAILED_FOREGROUND });
    }),
  );
});

test("a core that is not there is refused", () =>
  withScene(async (scene) => {
    const core = join(scene.folder, "nowhere");
    expectRefusal(await scene.cr(["verify", core]), { codes: ["CORE_UNREADABLE"] });
    const result = await scene.cr(["restore", core]);
    expectRefusal(result, { codes: ["CORE_UNREADABLE"], status: FAILED_FOREGROUND });
  }));
