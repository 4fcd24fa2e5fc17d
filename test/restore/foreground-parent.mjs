// Started by foreground.test.ts: a parent in the foreground, as cr restore is one, of the executable named first,
// which finds the standard streams at 3 to 5. With `shared` behind it the child stays in the parent's group.
// Prints `parent PID child PID` before the child is let go.
import { openForeground } from "../../dist/restore/foreground.js";
import { call } from "../../dist/tracee/native.js";

const OWN_GROUP = 2; // CR_SPAWN_SETPGID
const [exe, shared] = process.argv.slice(2);
const standard = Buffer.from(new Int32Array([0, 1, 2]).buffer);
const pid = call("cr_spawn", exe, 0, shared ? 0 : OWN_GROUP, 0, standard, 3, 3, "");
const foreground = openForeground({ pid });
process.stdout.write(`parent ${process.pid} child ${pid}\n`);
call("cr_detach", Buffer.from(new Int32Array([pid]).buffer), 1, Buffer.alloc(4));
const status = await foreground.finished();
foreground[Symbol.dispose]();
process.exit(status);
