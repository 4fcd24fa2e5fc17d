/** What only the process itself can tell, and what then has to be refused while it stands still. */
import type { Interior } from "./interior.js";
import type { Look } from "./look.js";
import type { Refusal } from "./refusal.js";

const PR_TSC_SIGSEGV = 2n;

/** Settings that cannot be given to a new process, and input that would be lost. */
export function refusedInterior(look: Look, interior: Interior): Refusal[] {
  return [...refusedSettings(interior), ...refusedInput(look, interior)];
}

function refusedSettings({ settings }: Interior): Refusal[] {
  const refusals: Refusal[] = [];
  if (settings.mdwe !== 0n) {
    refusals.push({ kind: "setting", id: "mdwe", what: "write-execute denial (PR_SET_MDWE)" });
  }
  if ((settings.tsc & 0xffff_ffffn) === PR_TSC_SIGSEGV) {
    refusals.push({ kind: "setting", id: "tsc", what: "a forbidden time stamp counter (PR_SET_TSC)" });
  }
  return refusals;
}

/** Unread bytes in a socket on standard input can only be had by taking them; those of a pipe are copied. */
function refusedInput({ files }: Look, { unreadInputBytes }: Interior): Refusal[] {
  const stdin = files.descriptors.find(({ fd }) => fd === 0);
  const description = files.descriptions.find(({ id }) => id === stdin?.description);
  const isSocket = description?.kind === "outside" && description.path.startsWith("socket:");
  if (!isSocket || unreadInputBytes === 0) return [];
  const what = `${unreadInputBytes} unread bytes in ${description.path}`;
  return [{ kind: "descriptor", id: "fd:0", what }];
}
