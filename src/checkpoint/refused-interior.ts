/** What only the process itself can tell, and what then has to be refused while it stands still. */
import type { Interior } from "./interior.js";
import type { Look } from "./look.js";
import type { Refusal } from "./refusal.js";

/** Input that would be lost. */
export function refusedInterior(look: Look, interior: Interior): Refusal[] {
  return refusedInput(look, interior);
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
