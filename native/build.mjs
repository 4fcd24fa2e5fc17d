// Builds libcr.so with the system's compiler and says plainly what is missing when it cannot.
import { spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

for (const tool of ["make", "gcc"]) {
  if (spawnSync(tool, ["--version"], { stdio: "ignore" }).status !== 0) {
    console.error(
      `recore: cannot build libcr.so: ${tool} is missing; run: apt-get install gcc make libc6-dev`,
    );
    process.exit(1);
  }
}
const made = spawnSync("make", ["-s", "-C", here], { stdio: "inherit" });
process.exit(made.status ?? 1);
