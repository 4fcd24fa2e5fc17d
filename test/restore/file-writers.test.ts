/** Who else writes to a file: told by a lease where nobody does, by a look at all processes otherwise. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { lookAt } from "../../src/restore/file-look.js";
import { otherWriters } from "../../src/restore/file-writers.js";
import { withScene } from "../harness/scene.js";
import { withWriter } from "./writer.js";

/** Runs `act` with a file of a page that was looked at. */
async function withFile(act: (path: string, users: () => readonly object[]) => Promise<void> | void) {
  await withScene(async ({ folder }) => {
    const path = join(folder, "file");
    writeFileSync(path, Buffer.alloc(4096));
    const look = lookAt(path);
    try {
      await act(path, () => otherWriters([look]));
    } finally {
      closeSync(look.fd);
    }
  });
}

test("a file that nobody writes to has none, and nothing is left on it", async () => {
  await withFile((path, users) => {
    const fd = openSync(path, "r");
    expect(users()).toEqual([]);
    closeSync(fd);
    // A lease would make it wait.
    const writer = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    expect(users()).toEqual([]);
    closeSync(writer);
  });
});

test("another process with a descriptor for writing is one", async () => {
  await withFile((path, users) => {
    withWriter(path, (pid) => expect(users()).toMatchObject([{ pid, how: "write" }]));
  });
});

test("so is one that has it mapped, and has no descriptor any more", async () => {
  await withFile(async (path, users) => {
    const program = `
import ctypes, os
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
fd = os.open(${JSON.stringify(path)}, os.O_RDWR)
assert libc.mmap(None, ctypes.c_size_t(4096), 3, 1, fd, ctypes.c_long(0)) != ctypes.c_void_p(-1).value
os.close(fd)
print(flush=True); input()`;
    const child = spawn("python3", ["-c", program], { stdio: ["pipe", "pipe", "inherit"] });
    try {
      await once(child.stdout, "data");
      expect(users()).toMatchObject([{ pid: child.pid, how: "shared-map" }]);
    } finally {
      child.kill("SIGKILL");
    }
  });
});
