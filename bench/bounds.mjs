// What no tool can be faster than, by the same bytes in the same round: writing them past the page cache (dd), copying them
// from memory to memory, reading them into fresh memory.
import { execFileSync, spawnSync } from "node:child_process";
import { rmSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const BIN = fileURLToPath(new URL("bin", import.meta.url));

/** In ms: `ddMs` of `dd oflag=direct` from the page cache, `copyMs` and `copyFreshMs` of a copy in memory. */
export function measureBounds(core, folder) {
  const { size } = statSync(core);
  const mib = String(Math.max(1, Math.round(size / 2 ** 20)));
  const [copyFreshMs, copyMs] = execFileSync(`${BIN}/copy`, [mib], { encoding: "utf8" })
    .split(" ")
    .map(Number);
  return { mib: Number(mib), ddMs: writeDirectly(core, folder), copyMs, copyFreshMs };
}

/** NaN where the file system has no O_DIRECT. */
function writeDirectly(core, folder) {
  const written = `${folder}/dd.out`;
  spawnSync("cat", [core], { stdio: "ignore" });
  spawnSync("sync");
  const start = performance.now();
  const { status } = spawnSync("dd", [`if=${core}`, `of=${written}`, "bs=4M", "oflag=direct", "conv=fsync"], {
    stdio: "ignore",
  });
  const ddMs = performance.now() - start;
  rmSync(written, { force: true });
  return status === 0 ? ddMs : Number.NaN;
}

/** Reads a core into fresh anonymous memory, in ms. */
export function readFreshMs(core) {
  return Number(execFileSync(`${BIN}/fresh`, [core], { encoding: "utf8" }));
}

/** From the start of a process to Node's first line of a program, in ms. */
export function nodeStartMs() {
  return Number(execFileSync(process.execPath, ["-p", "performance.now()"], { encoding: "utf8" }));
}
