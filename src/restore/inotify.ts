/** Watches of inotify instances: the same files under the same watch descriptors. */
import { CrError } from "../errors.js";
import type { ObjectOf } from "../state/kernel-object.js";
import { ownCall } from "../tracee/own-call.js";
import { statOf } from "./file-look.js";

/** IN_ALL_EVENTS, IN_EXCL_UNLINK and IN_ONESHOT: what the kernel keeps of a mask (inotify(7)). */
const KEPT_MASK = 0x8400_0fff;
/** IN_DELETE_SELF of a file that is always there: makes a number pass. */
const PASSED_PATH = "/";
const IN_DELETE_SELF = 0x400;
const EVENTS_BYTES = 1 << 16;
const FIONREAD = 0x541b;

type Inotify = ObjectOf<"inotify">;

/** FILE_MISSING or FILE_CHANGED when a watched file is not there any more under its name. */
export function checkWatches({ watches }: Inotify): void {
  for (const { path, ino } of watches) {
    if (statOf(path).ino === ino) continue;
    throw new CrError("FILE_CHANGED", `restore the watch of ${path}: another file has its name`, {
      hint: "put the watched file back as it was",
      data: { path },
    });
  }
}

/**
 * Adds the watches. Numbers are given out in rising order, so those of watches that the program had removed are
 * passed by; the events that tells are taken out again.
 */
export function startWatches(fd: number, { watches }: Inotify): void {
  let next = 1;
  for (const { wd, path, mask } of watches) {
    while (next < wd) {
      const passed = ownCall("inotify_add_watch", fd, text(PASSED_PATH), IN_DELETE_SELF);
      ownCall("inotify_rm_watch", fd, passed);
      next = passed + 1;
      discardEvents(fd);
    }
    const got = ownCall("inotify_add_watch", fd, text(path), (mask & KEPT_MASK) >>> 0);
    if (got !== wd)
      throw new CrError("RESTORE_FAILED", `cannot watch ${path} as number ${wd}: it got ${got}`);
    next = got + 1;
  }
}

function discardEvents(fd: number): void {
  const waiting = Buffer.alloc(4);
  ownCall("ioctl", fd, FIONREAD, waiting);
  if (waiting.readInt32LE() > 0) ownCall("read", fd, Buffer.alloc(EVENTS_BYTES), EVENTS_BYTES);
}

function text(path: string): Buffer {
  return Buffer.from(`${path}\0`, "utf8");
}
