/** Which way bulk data takes to the disk, and what room is made for it. */
import { closeSync, fstatSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BulkFile } from "../../src/checkpoint/bulk.js";
import { punchHole } from "../../src/tracee/punch.js";
import { withScene } from "../harness/scene.js";

const MIB = 2 ** 20;

test("little data and small pieces go by the ordinary way, bulk past the page cache into room that was made for it", () =>
  withScene(async (scene) => {
    const path = join(scene.folder, "core");
    const fd = openSync(path, "w+");
    using bulk = new BulkFile(fd);
    const ways = {
      little: bulk.wayOf({ totalBytes: 1000, stretches: 1 }, MIB, true),
      pieces: bulk.wayOf({ totalBytes: 1024 * MIB, stretches: 2 ** 18 }, MIB, true),
      standing: bulk.wayOf({ totalBytes: 256 * MIB, stretches: 256 }, MIB, false),
    };
    const ordinary = { fd, direct: false, isReserved: false };
    expect(ways).toEqual({ little: ordinary, pieces: ordinary, standing: ordinary });
    expect(fstatSync(fd).size).toBe(0);
    const way = bulk.wayOf({ totalBytes: 256 * MIB, stretches: 256 }, MIB, true);
    expect(way).toEqual({ fd: expect.any(Number), direct: true, isReserved: true });
    expect(way.fd).not.toBe(fd);
    const { size, blocks } = fstatSync(fd);
    expect([size, blocks * 512]).toEqual([MIB, MIB]);
    // What has been given back since stays so when more is written.
    punchHole(fd, 0, MIB / 2);
    expect(bulk.wayOf({ totalBytes: 256 * MIB, stretches: 256 }, 2 * MIB, true).isReserved).toBe(true);
    expect(fstatSync(fd)).toMatchObject({ size: 2 * MIB, blocks: (1.5 * MIB) / 512 });
    writeSync(fd, "head", 0);
    expect(readFileSync(path, "utf8").slice(0, 4)).toBe("head");
    closeSync(fd);
  }));

test("parts of much go past the page cache as soon as they are worth it, into room that was made for all", () =>
  withScene(async (scene) => {
    const fd = openSync(join(scene.folder, "core"), "w+");
    using bulk = new BulkFile(fd);
    const part = { totalBytes: 16 * MIB, stretches: 1 };
    expect(bulk.wayOf(part, 16 * MIB, true).direct).toBe(false);
    expect(bulk.expect({ totalBytes: 63 * MIB, stretches: 1 }, 63 * MIB)).toBe(false);
    expect(bulk.wayOf(part, 16 * MIB, true).direct).toBe(false);
    expect(bulk.expect({ totalBytes: 64 * MIB, stretches: 1 }, 64 * MIB)).toBe(true);
    expect(fstatSync(fd)).toMatchObject({ size: 64 * MIB, blocks: (64 * MIB) / 512 });
    expect(bulk.wayOf(part, 16 * MIB, true)).toMatchObject({ direct: true, isReserved: true });
    expect(bulk.wayOf({ ...part, totalBytes: 15 * MIB }, 16 * MIB, true).direct).toBe(false);
    expect(bulk.wayOf(part, 16 * MIB, false).direct).toBe(false);
    closeSync(fd);
  }));

test("where there is no room for everything, what there is has to do", () =>
  withScene(async (scene) => {
    const fd = openSync(join(scene.folder, "core"), "w+");
    using bulk = new BulkFile(fd);
    const way = bulk.wayOf({ totalBytes: 2 ** 44, stretches: 2 ** 24 }, 2 ** 44 - MIB, false);
    expect(way).toMatchObject({ direct: true, isReserved: false });
    expect(fstatSync(fd).blocks).toBe(0);
    closeSync(fd);
  }));
