/**
 * Who the program is, given back as the last thing before its registers: ids, groups, capabilities, securebits. A
 * newborn has what exec made of those of cr; each thread has its own and changes only its own (credentials(7), capabilities(7)).
 */
import { isDeepStrictEqual } from "node:util";
import { capabilityBits } from "../host/capabilities.js";
import type { Credentials } from "../state/credentials.js";
import type { ThreadState } from "../state/thread.js";
import type { RemoteCall } from "../tracee/remote.js";
import { Arguments } from "./arguments.js";
import type { Workshop } from "./workshop.js";

const PR_CAPBSET_DROP = 24;
const PR_SET_SECUREBITS = 28;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const AMBIENT_RAISE = 2;
const AMBIENT_CLEAR_ALL = 4;
/** Ids change without a change of capabilities. */
const SECBIT_NO_SETUID_FIXUP = 4;
/** _LINUX_CAPABILITY_VERSION_3. */
const CAPABILITY_VERSION = 0x2008_0522n;

/** Switches a thread to what was recorded of it, if that is not what it is. RESTORE_FAILED. */
export function putCredentials(
  workshop: Workshop,
  thread: Pick<ThreadState, "tid">,
  { recorded, actual, noNewPrivs }: { recorded: Credentials; actual: Credentials; noNewPrivs: boolean },
): void {
  const args = new Arguments(workshop.data);
  const calls = callsFor(args, inOrder(recorded), inOrder(actual));
  if (noNewPrivs) calls.push(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  workshop.runIn(thread.tid, { what: "give it its identity", calls, data: args.bytes() });
}

function callsFor(args: Arguments, recorded: Credentials, actual: Credentials): RemoteCall[] {
  if (isDeepStrictEqual(recorded, actual)) return [];
  const { bounding } = actual.capabilities;
  const sameSets = { ...actual, capabilities: { ...recorded.capabilities, bounding } };
  return isDeepStrictEqual(recorded, sameSets) && isLess(recorded, actual)
    ? dropCalls(args, recorded)
    : switchCalls(args, recorded, actual);
}

/** Whether it only has fewer capabilities: those may be given up by anyone. */
function isLess({ capabilities: less }: Credentials, { capabilities: more }: Credentials): boolean {
  const sets = ["permitted", "effective", "inheritable", "ambient"] as const;
  return sets.every((set) => (less[set] & ~more[set]) === 0n);
}

function dropCalls(args: Arguments, { capabilities }: Credentials): RemoteCall[] {
  return [
    prctl(PR_CAP_AMBIENT, AMBIENT_CLEAR_ALL, 0, 0, 0),
    capset(args, capabilities),
    ...capabilityBits(capabilities.ambient).map((bit) => prctl(PR_CAP_AMBIENT, AMBIENT_RAISE, bit, 0, 0)),
  ];
}

/** The kernel sorts groups; older cores may not. */
function inOrder(credentials: Credentials): Credentials {
  return { ...credentials, groups: [...credentials.groups].sort((a, b) => a - b) };
}

/** Rights are given up last: every step needs some of those that a later one takes away. */
function switchCalls(args: Arguments, recorded: Credentials, actual: Credentials): RemoteCall[] {
  const { uid, gid, groups, capabilities, securebits } = recorded;
  const full = { ...actual.capabilities, inheritable: capabilities.inheritable };
  const list = Buffer.alloc(groups.length * 4);
  groups.forEach((group, index) => {
    list.writeUInt32LE(group, index * 4);
  });
  return [
    prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP),
    ...(isDeepStrictEqual(groups, actual.groups)
      ? []
      : [{ name: "setgroups", args: [groups.length, args.put(list)] } as const]),
    { name: "setresgid", args: [gid.real, gid.effective, gid.saved] },
    { name: "setfsgid", args: [gid.fs] },
    { name: "setresuid", args: [uid.real, uid.effective, uid.saved] },
    { name: "setfsuid", args: [uid.fs] },
    capset(args, full),
    prctl(PR_CAP_AMBIENT, AMBIENT_CLEAR_ALL, 0, 0, 0),
    ...capabilityBits(capabilities.ambient).map((bit) => prctl(PR_CAP_AMBIENT, AMBIENT_RAISE, bit, 0, 0)),
    ...capabilityBits(actual.capabilities.bounding & ~capabilities.bounding).map((bit) =>
      prctl(PR_CAPBSET_DROP, bit),
    ),
    prctl(PR_SET_SECUREBITS, securebits),
    capset(args, capabilities),
  ];
}

/** capset(2): a header, then effective, permitted and inheritable in two halves of 32 bits. */
function capset(
  args: Arguments,
  sets: Pick<Credentials["capabilities"], "effective" | "permitted" | "inheritable">,
): RemoteCall {
  const { effective, permitted, inheritable } = sets;
  const half = (shift: bigint) =>
    [effective, permitted, inheritable].map((set) => (set >> shift) & 0xffff_ffffn);
  const data = Buffer.alloc(24);
  [...half(0n), ...half(32n)].forEach((word, index) => {
    data.writeUInt32LE(Number(word), index * 4);
  });
  return { name: "capset", args: [args.words(CAPABILITY_VERSION), args.put(data)] };
}

function prctl(option: number, ...rest: (bigint | number)[]): RemoteCall {
  return { name: "prctl", args: [option, ...rest] };
}
