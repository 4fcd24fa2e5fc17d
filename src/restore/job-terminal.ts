/** The controlling terminal of cr, and which process group is in its foreground (credentials(7), tcsetpgrp(3)). */
import { closeSync, constants, openSync } from "node:fs";
import { processStatus } from "../host/process-status.js";
import { foregroundGroup, setForegroundGroup } from "../tracee/child.js";

export interface JobTerminal extends Disposable {
  /** Puts a group in the foreground, if cr's own group is there now; else it stays in the background. */
  giveTo(group: number): void;
  /** Puts cr's own group there again, if `group` still is. */
  takeBack(group: number): void;
}

/** Opens the controlling terminal; null when cr has none (ENXIO of tty(4)). */
export function openJobTerminal(): JobTerminal | null {
  const ownGroup = processStatus(process.pid)?.pgid;
  const fd = openTerminal();
  if (fd === null || ownGroup === undefined) return null;
  const move = (from: number, to: number) => {
    // The terminal may hang up at any time; then there is no foreground to be in.
    try {
      if (foregroundGroup(fd) === from) setForegroundGroup(fd, to);
    } catch {
      return;
    }
  };
  return {
    giveTo: (group) => move(ownGroup, group),
    takeBack: (group) => move(group, ownGroup),
    [Symbol.dispose]: () => closeSync(fd),
  };
}

function openTerminal(): number | null {
  try {
    return openSync("/dev/tty", constants.O_RDWR | constants.O_NOCTTY);
  } catch {
    return null;
  }
}
