/** Mounts of its own, and the way into namespaces that each process has to go itself (setns(2), mount_namespaces(7)). */
import type { ProcessState } from "../state/process.js";
import type { Spaces } from "../state/space.js";
import { namespacePath, PROC } from "../tracee/proc-path.js";
import type { RemoteCall } from "../tracee/remote.js";
import { Arguments } from "./arguments.js";
import { makeLaterMounts } from "./mount-table.js";
import type { Workshop } from "./workshop.js";

const AT_FDCWD = -100;
const O_RDONLY_CLOEXEC = 0o2000000;
const PR_SET_DUMPABLE = 4;
const MS_REC = 0x4000;
const MS_PRIVATE = 0x4_0000;
const MS_SLAVE = 0x8_0000;
/** MS_NOSUID, MS_NODEV and MS_NOEXEC. */
const OF_PROC = 2 | 4 | 8;

/** How its mounts hear of those of cr from here on. Those of a whole table are told one by one. */
export function putPropagation(workshop: Workshop, mnt: NonNullable<Spaces["mnt"]>): void {
  if (mnt.propagation === "unchanged" || mnt.mounts !== undefined) return;
  const args = new Arguments(workshop.data);
  const how = MS_REC | (mnt.propagation === "slave" ? MS_SLAVE : MS_PRIVATE);
  const call: RemoteCall = { name: "mount", args: [0, args.text("/"), 0, how, 0] };
  workshop.run("make mounts of its own", [call], args.bytes());
}

/** A /proc that shows the pid namespace of this process, on top. */
export function mountProc(workshop: Workshop): void {
  const args = new Arguments(workshop.data);
  const [type, at] = [args.text("proc"), args.text(PROC)];
  const call: RemoteCall = { name: "mount", args: [type, at, type, OF_PROC, 0] };
  workshop.run("mount its own /proc", [call], args.bytes());
}

/** The last one hides the way to those of others. */
const NOT_BORN_IN = ["cgroup", "mnt"] as const;
const KINDS = ["uts", "ipc", "net", ...NOT_BORN_IN] as const;

export interface Entering {
  readonly spaces: Spaces;
  readonly state: ProcessState;
  /** The process that has them. */
  readonly maker: number;
}

/** Lets a process that stands in our namespaces into those of the maker that it was not born in. */
export function enterSpaces(workshop: Workshop, { spaces, state, maker }: Entering): void {
  const { newborn } = workshop;
  const kinds = (spaces.rootOutside ? KINDS : NOT_BORN_IN).filter((kind) => spaces[kind] !== undefined);
  const doors = kinds.map((kind) => openNamespace(workshop, maker, kind));
  const user = spaces.user && openNamespace(workshop, maker, "user");
  for (const door of doors) goTo(workshop, door);
  if (spaces.pid !== undefined && newborn.numberOf(newborn.pid) === 1) {
    if (spaces.mnt?.proc) mountProc(workshop);
    makeLaterMounts(workshop, spaces.mnt?.mounts ?? []);
  }
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

function openNamespace(workshop: Workshop, maker: number, kind: (typeof KINDS)[number] | "user"): bigint {
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
