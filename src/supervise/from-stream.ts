/** An operation on the core that comes in on standard input: received whole first, and named so in what is said of it. */
import { resolve } from "node:path";
import { CrError } from "../errors.js";
import type { Restored } from "../restore/restore.js";
import { type Received, receiveCore } from "./receive.js";
import { restoreOn } from "./restore-on.js";
import type { RestoreOnOptions } from "./restore-options.js";

/** Receives a core, runs `act` on it and forgets it. Throws what either throws. */
export async function fromStream<T>(act: (received: Received) => Promise<T>): Promise<T> {
  using received = receiveCore();
  try {
    return await act(received);
  } catch (error) {
    if (!(error instanceof CrError)) throw error;
    const { code, message, hint, data } = error;
    const named = message.replaceAll(received.path, "from standard input");
    throw new CrError(code, named, { ...(hint && { hint }), ...(data && { data }), cause: error });
  }
}

/**
 * Restores the core that comes in on standard input. The program's own standard input is /dev/null then, unless it is
 * placed; what is cut off files is kept beside a name in the current folder.
 */
export function restoreStream(options: RestoreOnOptions): Promise<Restored> {
  return fromStream(({ fd, path }) => restoreOn(path, { ...options, beside: resolve("core"), coreFd: fd }));
}
