/** The control groups of a restored program: joined again before its memory is made, so that it is counted there. */
import { joinGroups } from "../host/cgroup-membership.js";
import type { ProcessState } from "../state/process.js";
import type { SoftError } from "../state/soft-error.js";

/** Puts the newborn where the program was; groups that cannot be joined become soft errors. */
export function rejoinGroups(pid: number, { process }: Pick<ProcessState, "process">): SoftError[] {
  return joinGroups(pid, process.cgroups).map(({ group, why }) => ({
    kind: "cgroup",
    id: group.controllers || "cgroup2",
    message: `the program is not in its control group ${group.path} (${group.controllers || "version 2"}) but in that of cr: ${why}`,
  }));
}
