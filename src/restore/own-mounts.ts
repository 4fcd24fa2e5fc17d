/** Mounts of its own, and the way into namespaces that each process has to go itself (setns(2), mount_namespaces(7)). */
import type { ProcessState } from "../state/process.js";
import type { Spaces } from "../state/space.js";
import { namespacePath, PROC } from "../tracee/proc-path.js";
import type { RemoteCall } from "../tracee/remote.js";
import { Arguments } from "./arguments.js";
import type { Workshop } from "./workshop.js";

const CLONE_NEWNS = 0x2_0000;
const AT_FDCWD = -100;
const O_RDONLY_CLOEXEC = 0o2000000;
const PR_SET_DUMPABLE = 4;
const MS_REC = 0x4000;
const MS_PRIVATE = 0x4_0000;
const MS_SLAVE = 0x8_0000;
/** MS_NOSUID, MS_NODEV and MS_NOEXEC. */
const OF_PROC = 2 | 4 | 8;

/** The mounts of cr become those of a process; from here on they are its own. */
export function unshareMounts(
  workshop: Workshop,
  propagation: NonNullable<Spaces["mnt"]>["propagation"],
): void {
  const args = new Arguments(workshop.data);
  const root = args.text("/");
  const how = MS_REC | (propagation === "slave" ? MS_SLAVE : MS_PRIVATE);
  const calls: RemoteCall[] = [{ name: "unshare", args: [CLONE_NEWNS] }];
  if (propagation !== "unchanged") calls.push({ name: "mount", args: [0, root, 0, how, 0] });
  workshop.run("make mounts of its own", calls, args.bytes());
}

/** A /proc that shows the pid namespace of this process, on top. */
export function mountProc(workshop: Workshop): void {
  const args = new Arguments(workshop.data);
  const [type, at] = [args.text("proc"), args.text(PROC)];
  const call: RemoteCall = { name: "mount", args: [type, at, type, OF_PROC, 0] };
  workshop.run("mount its own /proc", [call], args.bytes());
}

export interface Entering {
  readonly spaces: Spaces;
  readonly state: ProcessState;
  /** The process that has them. */
  readonly maker: number;
}

/** Lets a process that stands in our mounts and user namespace into those of the maker. */
export function enterSpaces(workshop: Workshop, { spaces, state, maker }: Entering): void {
  const { newborn } = workshop;
  const mounts = spaces.mnt && openNamespace(workshop, maker, "mnt");
  const user = spaces.user && openNamespace(workshop, maker, "user");
  if (mounts !== undefined) goTo(workshop, mounts);
  const isFirst = spaces.pid !== undefined && newborn.numberOf(newborn.pid) === 1;
  if (spaces.mnt?.proc && isFirst) mountProc(workshop);
  if (user === undefined) return;
  // In there they may be fixed.
  const args = new Arguments(workshop.data);
  const { groups } = state.credentials;
  const list = Buffer.alloc(groups.length * 4);
  for (const [index, group] of groups.entries()) list.writeUInt32LE(group, index * 4);
  const call: RemoteCall = { name: "setgroups", args: [groups.length, args.put(list)] };
  workshop.run("set its groups", [call], args.bytes());
  goTo(workshop, user);
  workshop.run("keep it open to cr", [{ name: "prctl", args: [PR_SET_DUMPABLE, 1, 0, 0, 0] }]);
}

function openNamespace(workshop: Workshop, maker: number, kind: "mnt" | "user"): bigint {
  const args = new Arguments(workshop.data);
  const path = args.text(namespacePath(maker, kind));
  const call: RemoteCall = { name: "openat", args: [AT_FDCWD, path, O_RDONLY_CLOEXEC] };
  return workshop.run("find its namespaces", [call], args.bytes())[0] ?? -1n;
}

function goTo(workshop: Workshop, fd: bigint): void {
  const calls: RemoteCall[] = [
    { name: "setns", args: [fd, 0] },
    { name: "close", args: [fd] },
  ];
  workshop.run("enter its namespaces", calls);
}
