/** Positional writes of more parts than one system call takes. */
import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readPadded, writeAllOf } from "../src/file-bytes.js";
import { withFolder } from "./core/sample-core.js";

test("parts stand one behind the other, however many there are and wherever they begin", () =>
  withFolder((folder) => {
    const path = join(folder, "file");
    const fd = openSync(path, "w+");
    // IOV_MAX of writev(2) is 1024.
    const parts = Array.from({ length: 3000 }, (_, at) => Buffer.alloc(at % 7, at));
    writeAllOf(fd, parts, 5);
    const all = Buffer.concat(parts);
    expect(readFileSync(path).equals(Buffer.concat([Buffer.alloc(5), all]))).toBe(true);
    expect(readPadded(fd, all.length + 3, 5).equals(Buffer.concat([all, Buffer.alloc(3)]))).toBe(true);
    writeAllOf(fd, [], 0);
    writeAllOf(fd, [Buffer.alloc(0), Buffer.from("x"), Buffer.alloc(0)], 6);
    expect(readFileSync(path).subarray(5, 8)).toEqual(
      Buffer.from([all[0] ?? 0, "x".charCodeAt(0), all[2] ?? 0]),
    );
  }));
