/**
 * seccomp filters, installed before the other threads are made, which inherit them and so share them as recorded. They
 * are suspended while cr holds the newborn and hold from its first instruction (PTRACE_O_SUSPEND_SECCOMP).
 */
import { CrError } from "../errors.js";
import { hasHostCapability } from "../host/capabilities.js";
import type { ProcessState } from "../state/process.js";
import { Arguments } from "./arguments.js";
import type { Workshop } from "./workshop.js";

const SECCOMP_SET_MODE_FILTER = 1;
const INSTRUCTION_BYTES = 8;

/** Refuses filters that we may not suspend while the program is rebuilt: NOT_PERMITTED. */
export function checkFilters({ process: { seccomp } }: Pick<ProcessState, "process">): void {
  if (seccomp.length === 0 || hasHostCapability("CAP_SYS_ADMIN")) return;
  throw new CrError(
    "NOT_PERMITTED",
    "restore the program: it has seccomp filters, which cr may not suspend",
    {
      hint: "run cr with CAP_SYS_ADMIN",
    },
  );
}

/** The oldest first, as they were installed. */
export function putFilters(workshop: Workshop, { process: { seccomp } }: ProcessState): void {
  for (const filter of seccomp) {
    const args = new Arguments(workshop.data);
    const program = args.words(BigInt(filter.length / INSTRUCTION_BYTES), args.put(filter));
    workshop.run(
      "install its seccomp filters",
      [{ name: "seccomp", args: [SECCOMP_SET_MODE_FILTER, 0, program] }],
      args.bytes(),
    );
  }
}
