/** The file a core is written into: nothing to be seen until it is whole, nothing left when it never is. */
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { OutputFile } from "../../src/checkpoint/output.js";
import { listing } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import { errorOf } from "./frozen.js";

function inFolder(act: (folder: string) => void): Promise<void> {
  return withScene(async ({ folder }) => act(folder));
}

function codeOf(act: () => unknown): unknown {
  return (errorOf(act) as { code?: string }).code;
}

describe("OutputFile", () => {
  test("has no name before it is committed, and mode 0600 then", () =>
    inFolder((folder) => {
      const path = join(folder, "core");
      using output = OutputFile.create(path, { force: false });
      writeSync(output.fd, "bytes");
      expect(listing(folder)).toEqual([]);
      output.commit();
      expect(listing(folder)).toEqual(["core"]);
      expect(readFileSync(path, "utf8")).toBe("bytes");
      expect(statSync(path).mode & 0o7777).toBe(0o600);
    }));

  test("takes the name of nothing when it is not committed", () =>
    inFolder((folder) => {
      {
        using output = OutputFile.create(join(folder, "core"), { force: false });
        writeSync(output.fd, "bytes");
      }
      expect(listing(folder)).toEqual([]);
    }));

  test("replaces an earlier core only with force, and not before the commit", () =>
    inFolder((folder) => {
      const path = join(folder, "core");
      writeFileSync(path, "earlier");
      expect(codeOf(() => OutputFile.create(path, { force: false }))).toBe("OUTPUT_EXISTS");
      using output = OutputFile.create(path, { force: true });
      writeSync(output.fd, "later");
      expect(readFileSync(path, "utf8")).toBe("earlier");
      output.commit();
      expect(readFileSync(path, "utf8")).toBe("later");
      expect(listing(folder)).toEqual(["core"]);
    }));

  test("does not replace a file that appeared in between, and leaves no temporary", () =>
    inFolder((folder) => {
      const path = join(folder, "core");
      {
        using output = OutputFile.create(path, { force: false });
        writeFileSync(path, "somebody else's");
        expect(codeOf(() => output.commit())).toBe("OUTPUT_EXISTS");
      }
      expect(readFileSync(path, "utf8")).toBe("somebody else's");
      expect(listing(folder)).toEqual(["core"]);
    }));

  test("never goes through a symbolic link, not even one that appeared in between", () =>
    inFolder((folder) => {
      const [path, victim] = [join(folder, "core"), join(folder, "victim")];
      writeFileSync(victim, "precious");
      symlinkSync(victim, path);
      expect(codeOf(() => OutputFile.create(path, { force: true }))).toBe("OUTPUT_UNSAFE");
      const later = join(folder, "later");
      using output = OutputFile.create(later, { force: true });
      symlinkSync(victim, later);
      output.commit();
      expect(readFileSync(victim, "utf8")).toBe("precious");
      expect(statSync(later).ino).not.toBe(statSync(victim).ino);
    }));

  test("does not replace a folder that appeared in between", () =>
    inFolder((folder) => {
      const path = join(folder, "core");
      using output = OutputFile.create(path, { force: true });
      mkdirSync(path);
      expect(codeOf(() => output.commit())).toBe("OUTPUT_FAILED");
    }));

  test.each([
    ["a folder that is not there", "missing/core", { code: "OUTPUT_FAILED", message: /does not exist/ }],
    ["a file for a folder", "file/core", { code: "OUTPUT_FAILED", message: /not a folder/ }],
    ["a folder", "folder", { code: "OUTPUT_UNSAFE", message: /a folder/ }],
    ["a name that is too long", "x".repeat(256), { code: "OUTPUT_FAILED", message: /name.* too long/ }],
  ])("refuses %s", (_what, name, { code, message }) =>
    inFolder((folder) => {
      mkdirSync(join(folder, "folder"));
      writeFileSync(join(folder, "file"), "");
      const error = errorOf(() => OutputFile.create(join(folder, name), { force: true }));
      expect(error).toMatchObject({
        code,
        message: expect.stringMatching(message),
        hint: expect.any(String),
      });
    }),
  );

  test("takes every name that the file system takes", () =>
    inFolder((folder) => {
      const name = "x".repeat(255);
      using output = OutputFile.create(join(folder, name), { force: false });
      output.commit();
      expect(listing(folder)).toEqual([name]);
    }));
});
