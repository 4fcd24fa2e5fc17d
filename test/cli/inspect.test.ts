/** `cr inspect` and `cr verify` on a core of every kind of noun, as a user runs them. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { flipped, withFolder, writeCore, writeSample } from "../core/sample-core.js";

const CR = fileURLToPath(new URL("../../bin/cr", import.meta.url));

interface Result {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function cr(...args: string[]): Promise<Result> {
  const env = { ...process.env, NO_COLOR: "1", LC_ALL: "C.UTF-8" };
  return new Promise((resolve) => {
    execFile(CR, args, { env }, (error, stdout, stderr) => {
      resolve({ status: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

const onSample = (act: (path: string, folder: string) => Promise<void>) =>
  withFolder((folder) => {
    const path = join(folder, "core");
    writeSample(path);
    return act(path, folder);
  });

describe("cr inspect", () => {
  test("tells threads, maps, notes, descriptors, signals and soft errors", () =>
    onSample(async (path) => {
      const { status, stdout, stderr } = await cr("inspect", path);
      expect([status, stderr]).toEqual([0, ""]);
      expect(stdout).toMatch(/^core +.*\/core\nwritten +by Recore/);
      expect(stdout).toMatch(/^process +100 prog$/m);
      expect(stdout).toMatch(/^thread 100 prog\n +rip 0x303030303030303 /m);
      expect(stdout).toMatch(/^thread 101 löper\n +rip 0x0 /m);
      expect(stdout).toMatch(/^ +blocked SIGHUP signal 64$/m);
      expect(stdout).toMatch(/^maps: 4, 2\.4 MiB mapped, 1\.2 MiB in the core$/m);
      expect(stdout).toMatch(/^ *600000-858000 +rw-p +2\.3 MiB +1\.2 MiB \|█{16} {16}\| \[heap\]$/m);
      expect(stdout).toMatch(/^ +RECORE +CHECKSUM/m);
      expect(stdout).toMatch(/^ +0 terminal +\/dev\/pts\/0, shared with 1$/m);
      expect(stdout).toMatch(/^ +7 regular +\/tmp\/gone \(deleted\), at 17, 2\.4 KiB in the core$/m);
      expect(stdout).toMatch(/^ +SIGINT +0x401000$/m);
      expect(stdout).toMatch(/^ +session: a session of another$/m);
    }));

  test("gives all of it as one object with --json", () =>
    onSample(async (path) => {
      const { stdout } = await cr("inspect", path, "--json");
      const summary = JSON.parse(stdout);
      expect(stdout.trimEnd()).not.toContain("\n");
      expect(summary).toMatchObject({ origin: "recore", missing: [], process: { pid: 100 } });
      expect(summary.threads[0].registers.rip).toBe("0x303030303030303");
      expect(summary.maps[1]).toMatchObject({
        start: "0x600000",
        sizeBytes: 600 * 4096,
        storedBytes: 300 * 4096,
      });
      expect(summary.softErrors).toHaveLength(1);
    }));

  test("lets no control character of a core through to the terminal", () =>
    withFolder(async (folder) => {
      const path = join(folder, "core");
      writeSample(path, { softErrors: [{ kind: "x", id: "", message: "\u001b[31mred\u0007" }] });
      const { stdout } = await cr("inspect", path);
      expect(stdout).toContain("x: ?[31mred?");
    }));
});

describe("cr verify", () => {
  test("says that a good core is whole", () =>
    onSample(async (path) => {
      const text = await cr("verify", path);
      expect(text).toMatchObject({ status: 0, stderr: "" });
      expect(text.stdout).toMatch(/whole, 1\.2 MiB checked/);
      expect(JSON.parse((await cr("verify", path, "--json")).stdout)).toMatchObject({
        ok: true,
        problems: [],
      });
    }));

  test("says where a flipped bit is, with a next step and status 1", () =>
    onSample(async (path, folder) => {
      writeCore(folder, flipped(readFileSync(path), 500_000));
      const { status, stdout, stderr } = await cr("verify", path);
      expect([status, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(/^cr: CORE_CORRUPT: verify core .*: the pages at 0x600000 \(file offset 8192\)/);
      expect(stderr).toMatch(/\ncr: next: \S+/);
      const { error } = JSON.parse((await cr("verify", path, "--json")).stdout);
      expect(error).toMatchObject({
        code: "CORE_CORRUPT",
        data: { ok: false, problems: [{ code: "CORE_CORRUPT" }] },
      });
    }));

  test("says what a file is that is no core", async () => {
    const { status, stderr } = await cr("verify", "/bin/true");
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^cr: BAD_CORE: read core \/bin\/true: it is ELF of type dyn, a core is required\n/,
    );
    expect((await cr("inspect", "/none")).stderr).toMatch(/^cr: CORE_UNREADABLE: .*there is no such file\n/);
  });
});
