/**
 * Whose core it is, checked before a byte of it is believed: a core is a program that will run with the rights
 * of the caller. Works on what fstat(2) says of the open core, so that the name cannot be exchanged meanwhile.
 */

import { CrError } from "../errors.js";
import { userName } from "../host/user.js";

export interface CoreFile {
  readonly path: string;
  /** Of the open descriptor. */
  readonly stat: { readonly uid: number; readonly mode: number };
}

export interface OwnerOptions {
  /** The user said --trust: any owner and mode will do. */
  readonly trust: boolean;
  /** Effective uid of the caller; cr's own when left out. */
  readonly callerUid?: number;
}

/** Write permission of group and others. */
const OTHERS_WRITE = 0o022;

/**
 * Refuses a core that belongs to another user, or that another user could have written to: CORE_NOT_OWNED.
 * Root's cores are refused to others and others' cores to root alike, unless `trust`: for root they are restored by
 * a process that has become their owner (supervise/surroundings.ts).
 */
export function checkOwner(core: CoreFile, options: OwnerOptions): void {
  if (options.trust) return;
  const caller = options.callerUid ?? process.geteuid?.() ?? 0;
  const { uid } = core.stat;
  if (uid !== caller) {
    throw new CrError(
      "CORE_NOT_OWNED",
      `restore ${core.path}: the core belongs to ${userName(uid)}, it must belong to ${userName(caller)}`,
      {
        hint: `restore it as its owner (sudo -u ${userName(uid)} cr restore …), or add --trust if you trust it`,
        data: { ownerUid: uid, callerUid: caller },
      },
    );
  }
  checkMode(core);
}

/** Refuses a core that others than its owner could have written to: CORE_NOT_OWNED. */
export function checkMode({ path, stat: { mode } }: CoreFile): void {
  if ((mode & OTHERS_WRITE) === 0) return;
  const octal = (mode & 0o7777).toString(8).padStart(4, "0");
  throw new CrError(
    "CORE_NOT_OWNED",
    `restore ${path}: its mode is ${octal}, so others may have written to it; only its owner may`,
    { hint: `chmod go-w '${path}' if you trust what it holds, or add --trust`, data: { mode: octal } },
  );
}
