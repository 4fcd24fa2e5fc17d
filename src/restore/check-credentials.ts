/**
 * Whether a program started by cr can be who the recorded one was. Without rights it is what a process that cr forks
 * and that calls exec becomes (credentials(7)); root may give away what it has itself (credentials.ts does it).
 */

import { CrError } from "../errors.js";
import { capabilityNames } from "../host/capabilities.js";
import { userName } from "../host/user.js";
import type { Credentials } from "../state/credentials.js";
import { credentialsOf, readStatus } from "../tracee/proc-status.js";

/** Who cr itself is, without its securebits. */
export type OwnCredentials = Omit<Credentials, "securebits">;

export interface CredentialsContext {
  readonly own: OwnCredentials;
  /** A core of another tool, which tells nothing but the real uid. */
  readonly foreign: boolean;
}

/** The credentials of this process. */
export function ownCredentials(): OwnCredentials {
  return credentialsOf(readStatus(process.pid), 0);
}

/** Refuses a program whose ids, groups, capabilities or securebits cr cannot give it: CREDENTIALS. */
export function checkCredentials(recorded: Credentials, context: CredentialsContext): void {
  const { foreign } = context;
  const own = hadNone(recorded) ? withoutInheritable(context.own) : context.own;
  if (foreign) {
    if (recorded.uid.real !== own.uid.effective) throw otherUser(recorded.uid.real, own);
    return;
  }
  if (isSame(recorded, own)) return;
  if (maySwitch(own)) {
    checkGivable(recorded, own);
    return;
  }
  const uid = own.uid.effective;
  if (!isAll(recorded.uid, uid)) {
    if (isAll(recorded.uid, recorded.uid.real)) throw otherUser(recorded.uid.real, own);
    throw mixedIds("user", recorded.uid);
  }
  if (!isAll(own.uid, uid)) throw mixedIds("user", own.uid, "cr itself runs");
  const gid = own.gid.effective;
  if (!isAll(recorded.gid, gid) || !isAll(own.gid, gid)) {
    throw refuse(`it ran with group ids ${list(recorded.gid)}, cr has ${list(own.gid)}`, groupHint(recorded));
  }
  if (sorted(recorded.groups) !== sorted(own.groups)) {
    throw refuse(
      `its supplementary groups were ${sorted(recorded.groups)}, those of cr are ${sorted(own.groups)}`,
      groupHint(recorded),
    );
  }
  checkCapabilities(recorded, own);
}

/**
 * The sets after an exec without file capabilities, as capabilities(7) computes them: root gets what it may
 * inherit and what is bounding, others what is ambient.
 */
export function capabilitiesAfterExec(own: OwnCredentials): Credentials["capabilities"] {
  const { inheritable, bounding, ambient } = own.capabilities;
  const permitted = own.uid.effective === 0 ? inheritable | bounding : ambient;
  return { inheritable, permitted, effective: permitted, bounding, ambient };
}

/**
 * What cr was given to do its work (capabilities(7), ambient) the newborn has too, and gives up in the end where the
 * program had nothing of the kind. Root's are what exec makes of them.
 */
function hadNone({ uid, capabilities }: Credentials): boolean {
  return uid.real !== 0 && capabilities.ambient === 0n && capabilities.inheritable === 0n;
}

function withoutInheritable(own: OwnCredentials): OwnCredentials {
  if (own.uid.effective === 0) return own;
  return { ...own, capabilities: { ...own.capabilities, inheritable: 0n, ambient: 0n } };
}

/** What a program that cr starts is anyway. */
function isSame(recorded: Credentials, own: OwnCredentials): boolean {
  const { uid, gid, groups, capabilities, securebits } = recorded;
  const after = capabilitiesAfterExec(own);
  return (
    securebits === 0 &&
    isAll(uid, own.uid.effective) &&
    isAll(own.uid, own.uid.effective) &&
    isAll(gid, own.gid.effective) &&
    isAll(own.gid, own.gid.effective) &&
    sorted(groups) === sorted(own.groups) &&
    SETS.every((set) => capabilities[set] === after[set])
  );
}

const SETS = ["permitted", "effective", "inheritable", "ambient", "bounding"] as const;

/** CAP_SETGID, CAP_SETUID and CAP_SETPCAP, which a newborn of root has too. */
function maySwitch(own: OwnCredentials): boolean {
  const needed = (1n << 6n) | (1n << 7n) | (1n << 8n);
  const { effective } = own.capabilities;
  const after = capabilitiesAfterExec(own).effective;
  return isAll(own.uid, 0) && (effective & after & needed) === needed;
}

/** Nobody gives capabilities that he has not got. */
function checkGivable(recorded: Credentials, own: OwnCredentials): void {
  const { permitted, bounding, inheritable } = capabilitiesAfterExec(own);
  const givable = { permitted, bounding, inheritable: inheritable | bounding };
  for (const set of ["permitted", "bounding", "inheritable"] as const) {
    const missing = recorded.capabilities[set] & ~givable[set];
    if (missing === 0n) continue;
    const names = capabilityNames(missing).join(", ");
    const found = `restore the program: it had ${names} among its ${set} capabilities, which cr cannot give it`;
    throw new CrError("CREDENTIALS", found, { hint: "run cr with these capabilities", data: { set, names } });
  }
}

function sorted(ids: readonly number[]): string {
  return [...new Set(ids)].sort((a, b) => a - b).join(" ") || "none";
}

function checkCapabilities(recorded: Credentials, own: OwnCredentials): void {
  const after = capabilitiesAfterExec(own);
  for (const set of SETS) {
    const was = recorded.capabilities[set];
    const will = after[set];
    if (was === will) continue;
    const differing = capabilityNames(was ^ will).join(", ");
    throw refuse(
      `its ${set} capabilities were 0x${was.toString(16)}, those of a program that cr starts are 0x${will.toString(16)} (differing: ${differing})`,
      "run cr with the capabilities the program had (capsh or setpriv start it with fewer)",
    );
  }
  if (recorded.securebits !== 0) {
    throw refuse(
      `it had set securebits 0x${recorded.securebits.toString(16)}, a program that cr starts has none`,
      "this version cannot restore a program with securebits",
    );
  }
}

function otherUser(uid: number, own: OwnCredentials): CrError {
  const name = userName(uid);
  return refuse(
    `it ran as ${name}, cr runs as ${userName(own.uid.effective)}`,
    `run cr as that user: sudo -u ${name.startsWith("uid ") ? `'#${uid}'` : name} cr restore …`,
  );
}

function mixedIds(what: string, ids: Credentials["uid"], who = "it ran"): CrError {
  return refuse(
    `${who} with differing real, effective, saved and file system ${what} ids (${list(ids)}), all must be equal`,
    "this version restores programs without changed ids only",
  );
}

function groupHint(recorded: Credentials): string {
  const groups = recorded.groups.length > 0 ? `--groups ${recorded.groups.join(",")}` : "--clear-groups";
  return `give cr these groups: setpriv --regid ${recorded.gid.real} ${groups} cr restore …`;
}

function refuse(found: string, hint: string): CrError {
  return new CrError("CREDENTIALS", `restore the program: ${found}, both must be equal`, { hint });
}

function isAll(ids: Credentials["uid"], id: number): boolean {
  return ids.real === id && ids.effective === id && ids.saved === id && ids.fs === id;
}

function list(ids: Credentials["uid"]): string {
  return `${ids.real} ${ids.effective} ${ids.saved} ${ids.fs}`;
}
