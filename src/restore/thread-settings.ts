/** What the kernel keeps for an address space or a thread by prctl(2), membarrier(2) and set_mempolicy(2). */
import type { ProcessState } from "../state/process.js";
import type { ThreadState } from "../state/thread.js";
import type { RemoteCall } from "../tracee/remote.js";
import { Arguments } from "./arguments.js";
import type { Workshop } from "./workshop.js";

const PR = { setTsc: 26, mceKill: 33, setSpeculation: 53, setMdwe: 65, setMemoryMerge: 67 } as const;
const ARCH_REQ_XCOMP_PERM = 0x1023;
/** XFEATURE_XTILE_DATA of arch/x86/include/asm/fpu/types.h. */
const DYNAMIC_COMPONENTS = [18];
const PR_MCE_KILL_SET = 1;
const TSC_READS = 1;
const MCE_KILL_DEFAULT = 2;
const REGISTRATIONS = 32;

/** Commands registered with membarrier(2), and memory merging: cheap only while there is one thread. */
export function putRegistrations(workshop: Workshop, { process }: ProcessState): void {
  const commands = Array.from({ length: REGISTRATIONS }, (_, bit) => 1 << bit);
  const calls = commands
    .filter((command) => (process.membarriers & command) !== 0)
    .map((command): RemoteCall => ({ name: "membarrier", args: [command, 0, 0] }));
  if (process.memoryMerge) calls.push({ name: "prctl", args: [PR.setMemoryMerge, 1, 0, 0, 0] });
  workshop.run("register it with the kernel", calls);
}

/**
 * The permission to use vector components that are too big to be had unasked (AMX tile data), without which the
 * kernel takes no register set with them.
 */
export function putPermissions(workshop: Workshop, { host }: ProcessState): void {
  const wanted = DYNAMIC_COMPONENTS.filter((bit) => (host.xstateComponents >> BigInt(bit)) & 1n);
  workshop.run(
    "permit it its vector registers",
    wanted.map((bit): RemoteCall => ({ name: "arch_prctl", args: [ARCH_REQ_XCOMP_PERM, bit] })),
  );
}

/** Write-execute denial, once everything is mapped. */
export function putDenial(workshop: Workshop, { process: { mdwe } }: ProcessState): void {
  if (mdwe === 0) return;
  workshop.run("set its write-execute denial", [{ name: "prctl", args: [PR.setMdwe, mdwe, 0, 0, 0] }]);
}

/** What only this thread is set to, where it is not as a new one is. */
export function putThreadSettings(workshop: Workshop, { tid, settings }: ThreadState): void {
  if (settings === undefined) return;
  const { tsc, mceKill, speculation, memoryPolicy } = settings;
  const args = new Arguments(workshop.data);
  const calls: RemoteCall[] = [];
  if (memoryPolicy.mode !== 0) {
    const { mode, nodes } = memoryPolicy;
    // One more than there are bits: the kernel counts one off (set_mempolicy(2)).
    const mask = nodes.length === 0 ? [0, 0] : [args.put(nodes), nodes.length * 8 + 1];
    calls.push({ name: "set_mempolicy", args: [mode, ...mask] });
  }
  if (mceKill !== MCE_KILL_DEFAULT) {
    calls.push({ name: "prctl", args: [PR.mceKill, PR_MCE_KILL_SET, mceKill, 0, 0] });
  }
  speculation.forEach((off, what) => {
    if (off !== 0) calls.push({ name: "prctl", args: [PR.setSpeculation, what, off, 0, 0] });
  });
  if (tsc !== TSC_READS) calls.push({ name: "prctl", args: [PR.setTsc, tsc] });
  workshop.runIn(tid, { what: "set what its thread is set to", calls, data: args.bytes() });
}
