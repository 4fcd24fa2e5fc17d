/** `cr completion`: the script of bash completes in bash; those of the others name every verb and flag. */
import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { describeVerbs } from "../../src/cli/command-tree.js";
import { buildProgram, VERBS } from "../../src/cli/program.js";
import { describeResult } from "../harness/cr.js";
import { withScene } from "../harness/scene.js";

async function script(shell: string): Promise<string> {
  let text = "";
  await withScene(async (scene) => {
    const result = await scene.cr(["completion", shell]);
    expect(result.status, describeResult(result)).toBe(0);
    text = result.stdout;
  });
  return text;
}

describe("bash", () => {
  test.each([
    [["cr", "rest"], ["restore"]],
    [
      ["cr", ""],
      [...Object.keys(VERBS), "--help", "--version"],
    ],
    [
      ["cr", "restore", "--pid", ""],
      ["keep", "new", "ns"],
    ],
    [["cr", "restore", "--fi"], ["--files"]],
    [["cr", "checkpoint", "-o", ""], []],
    [
      ["cr", "completion", ""],
      ["bash", "zsh", "fish"],
    ],
  ])("%j is completed", async (words, expected) => {
    const ask = `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cr; printf "%s\\n" "\${COMPREPLY[@]}"`;
    const source = `${await script("bash")}\n${ask}`;
    const said = execFileSync("bash", ["-c", source, "bash", ...words], { encoding: "utf8" });
    expect(said.split("\n").filter((word) => word !== "")).toEqual(expected);
  });
});

test.each(["zsh", "fish"])("%s gets every verb and every flag", async (shell) => {
  const text = await script(shell);
  for (const { name, options } of describeVerbs(await buildProgram())) {
    expect(text).toMatch(new RegExp(`\\b${name}\\b`));
    for (const { long } of options) {
      expect(text).toContain(shell === "fish" ? `${name}' -l ${long.slice(2)}` : `'${long}[`);
    }
  }
});

test("another shell is wrong usage", () =>
  withScene(async (scene) => {
    const result = await scene.cr(["completion", "csh"]);
    expect(result.status).toBe(2);
    expect(result.stderr).toContain("Allowed choices are bash, zsh, fish");
  }));
