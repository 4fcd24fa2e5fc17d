/** Who reads slowly, from a pipe that does not wait, gets all of what cr says; who reads no more is not waited for. */
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../tidy/sources.js";

/** Runs cr with a pipe of one page that does not wait, reads it when it is full, and prints what came. */
const PROGRAM = `
import fcntl, os, struct, subprocess, sys, termios
out, its = os.pipe()
fcntl.fcntl(its, 1031, 4096) # F_SETPIPE_SZ
os.set_blocking(its, False)
cr = subprocess.Popen(sys.argv[1:], stdout=its)
while struct.unpack("i", fcntl.ioctl(out, termios.FIONREAD, b"\\0" * 4))[0] < 4096 and cr.poll() is None: pass
os.close(its)
with os.fdopen(out, "rb") as file: sys.stdout.buffer.write(file.read())
sys.exit(cr.wait())`;

test("a pipe that is full and does not wait loses nothing", () => {
  const command = [process.execPath, join(ROOT, "bin/cr"), "explain", "--json"];
  const slow = execFileSync("python3", ["-c", PROGRAM, ...command], { encoding: "utf8" });
  expect(slow.length).toBeGreaterThan(4096);
  expect(JSON.parse(slow)).toEqual(
    JSON.parse(execFileSync(command[0] ?? "", command.slice(1), { encoding: "utf8" })),
  );
});

test.each([[["explain"]], [["explain", "--json"]], [["--help"]], [["explain", "NO_SUCH_CODE", "--json"]]])(
  "a reader that has gone is no failure to tell of: %j",
  (args) => {
    const command = `"$0" "$@" | true; exit "\${PIPESTATUS[0]}"`;
    const run = spawnSync("bash", ["-c", command, join(ROOT, "bin/cr"), ...args], { encoding: "utf8" });
    expect(run.stderr).not.toMatch(/EPIPE|\bat /);
  },
);
