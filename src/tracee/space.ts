/**
 * A visit to the namespaces of another process by our main thread, which all synchronous work is done in (setns(2)):
 * what it asks of sockets, System V objects and /proc/sys then is theirs, and what it makes belongs there.
 */
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { isErrno } from "../errors.js";
import { ownCall } from "./own-call.js";
import { ownNamespaces } from "./proc-status.js";

/** Those that a thread of several may enter and leave. */
export const VISITED = ["uts", "ipc", "net"] as const;
export type VisitedKind = (typeof VISITED)[number];

/** Between its making and its disposal we are there. */
export class Visit implements Disposable {
  /** Our own, to come back. */
  readonly #home: number[] = [];

  /** Nothing may be awaited meanwhile. Throws errno errors, and EPERM as `NativeError` without CAP_SYS_ADMIN there. */
  static to(pid: number, kinds: readonly (VisitedKind | "cgroup")[]): Visit {
    const visit = new Visit();
    ownNamespaces();
    try {
      for (const kind of kinds) visit.#enter(pid, kind);
    } catch (error) {
      visit[Symbol.dispose]();
      throw error;
    }
    return visit;
  }

  #enter(pid: number, kind: VisitedKind | "cgroup"): void {
    const there = openSync(`/proc/${pid}/ns/${kind}`, "r");
    try {
      const home = openSync(`/proc/self/ns/${kind}`, "r");
      this.#home.push(home);
      ownCall("setns", there, 0);
    } finally {
      closeSync(there);
    }
  }

  /** Back home; safe to call twice. */
  [Symbol.dispose](): void {
    for (const fd of this.#home.splice(0)) {
      ownCall("setns", fd, 0);
      closeSync(fd);
    }
  }
}

/** Settings of /proc/sys as they are where we are; what this kernel lacks is left out. */
export function readSettings(names: readonly string[]): { name: string; value: string }[] {
  return names.flatMap((name) => {
    const value = readSetting(name);
    return value === null ? [] : [{ name, value }];
  });
}

/** Null where the kernel has no such setting, or shows it to nobody like us. */
export function readSetting(name: string): string | null {
  try {
    return readFileSync(`/proc/sys/${name}`, "latin1").trimEnd();
  } catch (error) {
    if (isErrno(error, "ENOENT", "EACCES", "EPERM", "EINVAL", "EIO")) return null;
    throw error;
  }
}

/** Puts a setting; false when it may not be set. Most often it is right already. */
export function writeSetting(name: string, value: string): boolean {
  if (readSetting(name) === value) return true;
  try {
    writeFileSync(`/proc/sys/${name}`, `${value}\n`);
    return true;
  } catch {
    return false;
  }
}
