/**
 * A call of cr's as another user, for what the kernel notes of its maker: who connected or listened is told to the other
 * end of a unix socket (SO_PEERCRED). Only the calling thread changes, and only for the call.
 */
import { ownCall, tryOwnCall } from "./own-call.js";

/** Of setresuid(2): stays as it is. */
const UNCHANGED = -1;
const PR_SET_DUMPABLE = 4;

/**
 * Runs `act` with this effective user and group where cr is root, with the rights to files that root has; anybody else,
 * and root in a user namespace where there is no such user, runs it as he is.
 */
export function asUser<T>(user: { readonly uid: number; readonly gid: number } | null, act: () => T): T {
  const own = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  if (user === null || own.uid !== 0 || (user.uid === own.uid && user.gid === own.gid)) return act();
  tryOwnCall("setresgid", UNCHANGED, user.gid, UNCHANGED);
  tryOwnCall("setresuid", UNCHANGED, user.uid, UNCHANGED);
  // A path may be closed to that user now: who had come through before has come through.
  tryOwnCall("setfsuid", 0);
  try {
    return act();
  } finally {
    ownCall("setresuid", UNCHANGED, own.uid, UNCHANGED);
    ownCall("setresgid", UNCHANGED, own.gid, UNCHANGED);
    // The kernel takes it from whoever changes his user, and /proc/self with it.
    ownCall("prctl", PR_SET_DUMPABLE, 1, 0, 0, 0);
  }
}
