/** Builds the driver and the targets of this folder; says plainly which package is missing when it cannot. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));

/** Path of a program that `buildPrograms` made. */
export function programPath(
  name: "killat" | "nest" | "target" | "target-musl" | "target-threads" | "target-tcp",
): string {
  return `${HERE}bin/${name}`;
}

/** Makes killat and all targets. Throws with the package to install when a compiler is missing. */
export function buildPrograms(): void {
  make("all", "gcc make libc6-dev");
  make("musl", "musl-tools");
}

function make(goal: string, packages: string): void {
  const run = spawnSync("make", ["-s", "-C", HERE, goal], { encoding: "utf8" });
  if (run.status === 0) return;
  throw new Error(`cannot build ${goal} in test/torture (apt-get install ${packages}):\n${run.stderr}`);
}
