/** Build-ids as readelf shows them, and headers cut or altered anywhere. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { buildIdOf, readBuildId } from "../../src/host/build-id.js";

const folder = mkdtempSync(join(tmpdir(), "recore-build-id-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A program built by the system's compiler with these flags. */
function build(name: string, ...flags: string[]): string {
  const path = join(folder, name);
  execFileSync("gcc", ["-x", "c", "-", "-o", path, ...flags], { input: "int main(void) { return 0; }\n" });
  return path;
}

function fromReadelf(path: string): string | undefined {
  return /Build ID: ([0-9a-f]+)/.exec(execFileSync("readelf", ["-n", path], { encoding: "utf8" }))?.[1];
}

describe("readBuildId()", () => {
  it("finds what readelf finds in programs and libraries of every kind", () => {
    const paths = [
      "/bin/sh",
      "/lib/x86_64-linux-gnu/libc.so.6",
      "/lib64/ld-linux-x86-64.so.2",
      build("static", "-static", "-Wl,--build-id=sha1"),
      build("short", "-Wl,--build-id=0x1234abcd"),
    ];
    for (const path of paths) {
      expect(fromReadelf(path), path).toMatch(/^[0-9a-f]+$/);
      expect(readBuildId(path), path).toBe(fromReadelf(path));
    }
  });

  it("is null for programs without one and for files that are no programs", () => {
    const text = join(folder, "text");
    writeFileSync(text, "#!/bin/sh\n");
    for (const path of [build("none", "-Wl,--build-id=none"), text, "/dev/null"]) {
      expect(readBuildId(path), path).toBeNull();
    }
  });

  it("throws what open(2) says", () => {
    expect(() => readBuildId(join(folder, "missing"))).toThrow(/ENOENT/);
  });
});

describe("buildIdOf()", () => {
  it("survives headers cut or altered at any byte", () => {
    const head = execFileSync("head", ["-c", "4096", "/bin/sh"]);
    const idOf = (bytes: Buffer) => buildIdOf((offset, length) => bytes.subarray(offset, offset + length));
    expect(idOf(head)).toBe(fromReadelf("/bin/sh"));
    for (let length = 0; length < 1024; length += 1) idOf(head.subarray(0, length));
    for (let at = 0; at < 1024; at += 1) {
      for (const value of [0, 0xff]) {
        const altered = Buffer.from(head);
        altered[at] = value;
        idOf(altered);
      }
    }
  });
});
