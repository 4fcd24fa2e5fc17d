/** The controlling terminal of cr, and which process group is in its foreground (credentials(7), tcsetpgrp(3)). */
import { closeSync, constants, openSync } from "node:fs";
import { isErrno } from "../errors.js";
import { processStatus } from "../host/process-status.js";
import { foregroundGroup, setForegroundGroup } from "../tracee/child.js";

export interface JobTerminal extends Disposable {
  /** Puts a group in the foreground, if cr's own group is there now; else it stays in the background. */
  giveTo(group: number): void;
  /** Puts cr's own group there again, if one of these still is, or one of which nobody is left. */
  takeBack(...groups: readonly number[]): void;
}

/** Opens the controlling terminal; null when cr has none (ENXIO of tty(4)). */
export function openJobTerminal(): JobTerminal | null {
  const ownGroup = processStatus(process.pid)?.pgid;
  const fd = openTerminal();
  if (fd === null || ownGroup === undefined) return null;
  const move = (mayMove: (from: number) => boolean, to: number) => {
    // The terminal may hang up at any time; then there is no foreground to be in.
    try {
      if (mayMove(foregroundGroup(fd))) setForegroundGroup(fd, to);
    } catch {
      return;
    }
  };
  return {
    giveTo: (group) => move((from) => from === ownGroup, group),
    takeBack: (...groups) => move((from) => groups.includes(from) || isEmpty(from), ownGroup),
    [Symbol.dispose]: () => closeSync(fd),
  };
}

/** A shell in the program may have put a job there that has ended. */
function isEmpty(group: number): boolean {
  try {
    process.kill(-group, 0);
    return false;
  } catch (error) {
    return isErrno(error, "ESRCH");
  }
}

function openTerminal(): number | null {
  try {
    return openSync("/dev/tty", constants.O_RDWR | constants.O_NOCTTY);
  } catch {
    return null;
  }
}
