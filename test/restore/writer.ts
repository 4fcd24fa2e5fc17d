/** Another live process that writes to a file. */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";

/** Runs `act` while a `sleep` has the file open for writing; its pid is passed. */
export function withWriter(path: string, act: (pid: number) => void): void {
  const fd = openSync(path, "a");
  const child = spawn("sleep", ["60"], { stdio: ["ignore", fd, "ignore"] });
  closeSync(fd);
  try {
    act(child.pid ?? 0);
  } finally {
    child.kill("SIGKILL");
  }
}
