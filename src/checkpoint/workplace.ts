/** Where a thread of ours can work in a stopped process (tracee/helper-thread.ts): instructions and memory proven safe. */
import { PAGE_BYTES } from "../state/address.js";
import type { Workplace } from "../tracee/helper-thread.js";
import { parseSmaps, readMapsText } from "../tracee/maps.js";
import { parkBytesFor } from "../tracee/park.js";
import {
  findGadgets,
  findPlace,
  type Gadgets,
  lowestOnStack,
  placeBytesFor,
  stillThere,
} from "../tracee/site.js";
import type { ThreadRegisters } from "../tracee/thread.js";

/** Borrowed memory and instructions for a thread of ours; null where there is none. `threads` stand, the main one is first. */
export function findWorkplace(
  pid: number,
  threads: ReadonlyMap<number, ThreadRegisters>,
  known: Gadgets | null,
): Workplace | null {
  const vmas = parseSmaps(readMapsText(pid));
  const gadgets = known && stillThere(pid, known) ? known : findGadgets(pid, vmas);
  if (gadgets === null) return null;
  const all = [...threads.values()];
  const xstateBytes = Math.max(...all.map(({ xstate }) => xstate.length));
  const [callBytes, parkBytes] = [placeBytesFor(0, xstateBytes), parkBytesFor(xstateBytes)];
  const rsp = lowestOnStack(
    vmas,
    all.map(({ registers }) => registers),
  );
  const place = findPlace(pid, { vmas, rsp, placeBytes: callBytes + PAGE_BYTES + parkBytes });
  return place === null ? null : { pid, gadgets, place, callBytes, parkBytes };
}
