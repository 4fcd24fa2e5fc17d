/** Failures of the machinery that rebuilds a program, as the user is told of them. */
import { CrError } from "../errors.js";
import { isNativeError } from "../tracee/native-error.js";
import { NewbornLost } from "../tracee/newborn.js";
import { RemoteInterrupted } from "../tracee/remote.js";

/** What went wrong inside a newborn, in the user's words; other errors as they are. */
export function explained(error: unknown, path: string): unknown {
  const isOfNewborn =
    error instanceof NewbornLost || error instanceof RemoteInterrupted || isNativeError(error);
  if (!isOfNewborn) return error;
  return new CrError("RESTORE_FAILED", `cannot rebuild the program of ${path}: ${error.message}`, {
    hint: "nothing of it ran; try again, and look at dmesg if it was killed (out of memory)",
    cause: error,
  });
}
