// A program that uses Recore as a library: node library-user.mjs PID CORE DESCRIPTORS. Checkpoints the process, kills
// it, reads the core, restores it, and prints what it was told as one JSON object.
import { openSync } from "node:fs";
import { CrError, checkpoint, readCore, restore } from "../../dist/index.js";

const [pid, core, descriptors] = process.argv.slice(2);
// A program of this size has files of its own open.
for (let count = 0; count < Number(descriptors); count += 1) openSync("/dev/null");

const saved = await checkpoint(Number(pid), { output: core, after: "kill" });
const { origin, state } = readCore(core);
const again = await checkpoint(Number(pid), { output: core }).catch((error) => error);
const refused = { isCrError: again instanceof CrError, code: again.code, hint: again.hint };
const restored = await restore(core, { detach: true });
console.log(
  JSON.stringify({
    saved,
    read: { origin, pid: state.process.pid, comm: state.process.comm, threads: state.threads.length },
    refused,
    restored: { pid: restored.pid, foreground: restored.foreground, softErrors: restored.softErrors },
  }),
);
