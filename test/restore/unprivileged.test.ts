/** Preparing files in processes of their own: as nobody, without a terminal, on a terminal. */
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, constants, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { FileState } from "../../src/state/fd.js";
import { makeFolder, optionsFor, record, stateOf } from "./recorded.js";

const { O_RDWR } = constants;

describe("prepareFiles() in a process with fewer rights", () => {
  const DIST = new URL("../../dist/restore/files.js", import.meta.url).href;

  /** What a process started by `command`, which gets the state as data, is told. */
  function prepareUnder(command: readonly string[], folder: string, state: FileState): string {
    const options = optionsFor(folder);
    const data = JSON.stringify({ state, options }, (_, value) =>
      typeof value === "bigint" ? `${value}n` : value,
    );
    const program = `import { prepareFiles } from ${JSON.stringify(DIST)};
      const revive = (_, value) => /^\\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value;
      const { state, options } = JSON.parse(${JSON.stringify(data)}, revive);
      try { prepareFiles(state, options).commit(); console.log("done"); }
      catch (error) { console.log(error.code + ": " + error.message); }`;
    const [name = "", ...rest] = [...command, process.execPath, "--input-type=module", "-e", program];
    return execFileSync(name, rest, { encoding: "utf8" }).trim();
  }

  /** Runs its arguments in a session of their own on a new terminal, and prints what they print there. */
  const ON_TERMINAL = [
    "python3",
    "-c",
    `import os, pty, sys
pid, terminal = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
while True:
    try: part = os.read(terminal, 4096)
    except OSError: break
    if not part: break
    os.write(1, part)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`,
  ];

  const AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

  it("works with own files and names the one that may not be opened", () => {
    const folder = makeFolder();
    chmodSync(folder, 0o755);
    const path = join(folder, "log");
    writeFileSync(path, "mine");
    const attempt = () => prepareUnder(AS_NOBODY, folder, stateOf([record(path, { flags: O_RDWR })]));
    expect(attempt()).toMatch(/^NOT_PERMITTED: open .*log: permission denied/);
    chownSync(path, 65534, 65534);
    expect(attempt()).toBe("done");
    chmodSync(folder, 0o700);
    expect(attempt()).toMatch(/^NOT_PERMITTED: open .*log/);
  });

  it("opens /dev/tty again where there is a terminal, and refuses it where there is none", () => {
    const folder = makeFolder();
    const state = stateOf([record("/dev/tty", { kind: "terminal", flags: O_RDWR })], [9]);
    expect(prepareUnder(["setsid", "-w"], folder, state)).toMatch(/^FD_OUTSIDE: open \/dev\/tty/);
    expect(prepareUnder(ON_TERMINAL, folder, state)).toBe("done");
  });
});
