/**
 * Where the user wants a descriptor to lead: `--fd N=PATH|inherit|null`. Parsing, and opening what was named;
 * which descriptors need a place is decided in files.ts.
 */
import { closeSync, constants, fstatSync, openSync, statSync, unlinkSync } from "node:fs";
import { CrError } from "../errors.js";
import { isHandedOver } from "../host/own-descriptors.js";
import { openFailed } from "./file-look.js";

/** `inherit`: cr's own descriptor of the same number. `null`: /dev/null. */
export type PlacementTarget =
  | { readonly kind: "path"; readonly path: string }
  | { readonly kind: "inherit" }
  | { readonly kind: "null" };

export interface FdPlacement {
  readonly fd: number;
  readonly target: PlacementTarget;
}

/** A descriptor of cr that will become one of the program's. */
export interface PlacedDescriptor {
  /** Of cr; for `inherit` not cr's to close. */
  readonly fd: number;
  readonly owned: boolean;
  /** Where to seek to, null to leave the position alone. */
  readonly position: bigint | null;
  /** A file that did not exist before. */
  readonly createdPath: string | null;
}

/** RLIMIT_NOFILE is at most fs.nr_open, which is below 2^30. */
const FD_MAX = 2 ** 30;
/** Status flags a shell's redirection could have set as well; access mode apart. */
const KEPT_FLAGS = constants.O_APPEND | constants.O_NONBLOCK | constants.O_SYNC;
export const O_ACCMODE = 0o3;

/** Parses one `N=PATH|inherit|null`; USAGE when it is none. A path that is called `null` is written `./null`. */
export function parseFdPlacement(text: string): FdPlacement {
  const [, number, target] = /^(\d+)=(.+)$/s.exec(text) ?? [];
  const fd = Number(number);
  if (target === undefined || fd >= FD_MAX) {
    throw new CrError("USAGE", `--fd '${text}' is not of the form N=PATH, N=inherit or N=null`, {
      hint: "for example --fd 7=/var/log/app.log",
    });
  }
  if (target === "inherit" || target === "null") return { fd, target: { kind: target } };
  return { fd, target: { kind: "path", path: target } };
}

/**
 * Opens what a placement names, with the access mode of the recorded `flags`. A path that is to be written to is
 * made if missing and written to at its end: the user's file loses nothing. FD_OUTSIDE when `inherit` has nothing
 * to inherit.
 */
export function openPlacement({ fd, target }: FdPlacement, flags: number): PlacedDescriptor {
  if (target.kind === "inherit") return inherit(fd);
  const path = target.kind === "null" ? "/dev/null" : target.path;
  const access = flags & O_ACCMODE;
  const writable = access !== constants.O_RDONLY;
  const existed = statSync(path, { throwIfNoEntry: false }) !== undefined;
  const create = writable && !existed ? constants.O_CREAT | constants.O_EXCL : 0;
  let opened: number;
  try {
    opened = openSync(path, access | (flags & KEPT_FLAGS) | create | constants.O_NOCTTY, 0o666);
  } catch (error) {
    throw openFailed(path, error);
  }
  const stat = fstatSync(opened);
  const position = stat.isFile() ? BigInt(writable ? stat.size : 0) : null;
  return { fd: opened, owned: true, position, createdPath: create !== 0 ? path : null };
}

/** Undoes `openPlacement`: closes the descriptor and removes a file it made that is still empty. */
export function discardPlacement(placed: PlacedDescriptor): void {
  if (!placed.owned) return;
  const isEmpty = fstatSync(placed.fd).size === 0;
  closeSync(placed.fd);
  if (placed.createdPath !== null && isEmpty) unlinkSync(placed.createdPath);
}

function inherit(fd: number): PlacedDescriptor {
  if (fd > 2 && !isHandedOver(fd)) {
    throw new CrError(
      "FD_OUTSIDE",
      `place descriptor ${fd}: cr was not given a descriptor ${fd} to inherit`,
      {
        hint: `give it one: cr restore … --fd ${fd}=inherit ${fd}<>FILE`,
        data: { fd },
      },
    );
  }
  return { fd, owned: false, position: null, createdPath: null };
}
