/** The look before the stop: everything that can be refused while the process runs on, in one message. */
import type { FarEnds } from "./far-ends.js";
import { leaveOut } from "./leave-out.js";
import { type Look, lookAtProcess, lookBeforeStop } from "./look.js";
import type { MappedFiles } from "./mappings.js";
import { refusedContentsNow } from "./refused-contents.js";

export interface Tools {
  readonly mappedFiles: MappedFiles;
  readonly farEnds: FarEnds;
  /** `KIND:ID` of what is left out. */
  readonly skip: readonly string[];
}

/** Looks until nothing is refused, a few times. Throws errno errors of /proc. */
export function lookAhead(pid: number, { mappedFiles, farEnds, skip }: Tools): Look {
  return lookBeforeStop(() => {
    const look = lookAtProcess(pid, mappedFiles, { farEnds });
    const refusals = [...look.refusals, ...refusedContentsNow(pid, look.files)];
    return leaveOut({ ...look, refusals }, skip).look;
  });
}
