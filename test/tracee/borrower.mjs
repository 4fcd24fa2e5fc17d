// Borrows a target as a checkpoint does: node borrower.mjs PID MILLISECONDS. With a time it sleeps inside the target,
// so that a test can kill this process in the middle of a batch (when nobody does, the target's own sleep has lost
// its restart block to that); with 0 it only asks for the pid. Says the place it borrowed, and when it let go.
import { writeSync } from "node:fs";
import { INTERIOR_SCRATCH_BYTES } from "../../dist/checkpoint/interior.js";
import { getRegister } from "../../dist/state/registers.js";
import { readMappings } from "../../dist/tracee/maps.js";
import { runGuarded } from "../../dist/tracee/remote.js";
import { findGadgets, findPlace, guardedSite, placeBytesFor } from "../../dist/tracee/site.js";
import { readThread } from "../../dist/tracee/thread.js";
import { Tracee } from "../../dist/tracee/tracee.js";

const pid = Number(process.argv[2]);
const milliseconds = BigInt(process.argv[3]);
const vmas = readMappings(pid);
const gadgets = findGadgets(pid, vmas);
const tracee = Tracee.seize(pid);
tracee.stop(5_000);
const thread = readThread(pid);
const rsp = getRegister(thread.registers, "rsp");
const placeBytes = placeBytesFor(INTERIOR_SCRATCH_BYTES, thread.xstate.length);
const place = findPlace(pid, { vmas, rsp, placeBytes });
const site = guardedSite(gadgets, place, { placeBytes, registers: thread.registers });
const scratch = Buffer.alloc(INTERIOR_SCRATCH_BYTES, 0x5a);
scratch.writeBigInt64LE(milliseconds / 1000n, 0);
scratch.writeBigInt64LE((milliseconds % 1000n) * 1_000_000n, 8);
writeSync(1, `place 0x${place.toString(16)}\n`);
const sleep = { name: "nanosleep", args: [place, 0] };
runGuarded(pid, site, { calls: [milliseconds > 0n ? sleep : { name: "getpid", args: [] }], scratch });
tracee.release();
writeSync(1, "released\n");
