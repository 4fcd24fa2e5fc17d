/**
 * A whole table of mounts (mount-plan.ts of the checkpoint), made by a process of ours in a mount namespace of its own: on
 * an empty folder, with all that cr has mounted beside it until the end (pivot_root(2)).
 */
import type { OwnMount } from "../state/space.js";
import { makeFolder } from "../tracee/folder-inside.js";
import { PROC } from "../tracee/proc-path.js";
import type { RemoteCall } from "../tracee/remote.js";

import { fillTmpfs } from "../tracee/tmpfs.js";
import { Arguments } from "./arguments.js";
import type { Workshop } from "./workshop.js";

const MS = { remount: 0x20, bind: 0x1000, rec: 0x4000, private: 0x4_0000, slave: 0x8_0000 };
const MNT_DETACH = 2;
const CLONE_NEWNS = 0x2_0000;
/** Where there is a folder on every host; it is seen again afterwards. */
const BASE = "/tmp";
const [NEW, OLD] = ["/new", "/old"];

/** Options of a mount by the names of proc_pid_mountinfo(5). */
const FLAGS: Readonly<Record<string, number>> = {
  ...{ ro: 0x1, nosuid: 0x2, nodev: 0x4, noexec: 0x8, nosymfollow: 0x100 },
  ...{ noatime: 0x400, nodiratime: 0x800, relatime: 0x20_0000 },
};
const STRICTATIME = 0x100_0000;

/** Makes them in the process of `workshop`, but for a /proc, which shows who mounts it. RESTORE_FAILED. */
export function makeMounts(workshop: Workshop, mounts: readonly OwnMount[]): void {
  const { pid } = workshop.newborn;
  call(workshop, "make mounts of its own", [{ name: "unshare", args: [CLONE_NEWNS] }]);
  mount(workshop, { source: null, at: "/", type: null, flags: MS.rec | MS.slave, data: null });
  mount(workshop, { source: "base", at: BASE, type: "tmpfs", flags: 0, data: null });
  for (const folder of [NEW, OLD]) makeFolder(pid, BASE + folder);
  pivot(workshop, BASE, BASE + OLD);
  const later = new Set(laterOnes(mounts));
  for (const one of mounts) {
    if (!later.has(one)) makeOne(workshop, one, NEW);
    // Where users have a namespace, a /proc may only be mounted beside one that can be seen.
    else if (one.kind === "proc") makeOne(workshop, { ...one, kind: "bind", from: PROC }, NEW);
  }
  enterFolder(workshop, NEW);
  pivot(workshop, ".", ".");
  call(workshop, "leave the mounts of cr", (args) => [
    { name: "umount2", args: [args.text("."), MNT_DETACH] },
  ]);
  enterFolder(workshop, "/");
}

/** The rest, by the first process of the pid namespace that its /proc shows. */
export function makeLaterMounts(workshop: Workshop, mounts: readonly OwnMount[]): void {
  for (const one of laterOnes(mounts)) makeOne(workshop, one, "");
}

/** A /proc, and what is in it. */
function laterOnes(mounts: readonly OwnMount[]): OwnMount[] {
  const places = mounts.filter(({ kind }) => kind === "proc").map(({ at }) => at);
  return mounts.filter(({ at }) => places.some((place) => at === place || at.startsWith(`${place}/`)));
}

function makeOne(workshop: Workshop, one: OwnMount, root: string): void {
  const { kind, from, options, data, slave, entries } = one;
  const at = one.at === "/" && root !== "" ? root : root + one.at;
  const flags = flagsOf(options);
  if (kind === "bind") mount(workshop, { source: OLD + from, at, type: null, flags: MS.bind, data: null });
  else if (kind === "again")
    mount(workshop, { source: root + from, at, type: null, flags: MS.bind, data: null });
  else {
    mount(workshop, { source: kind, at, type: kind, flags: flags & ~1, data: fileSystemOptions(data) });
    if (entries !== undefined) fillTmpfs(workshop.newborn.pid, at, entries);
  }
  mount(workshop, { source: null, at, type: null, flags: MS.bind | MS.remount | flags, data: null });
  if (!slave) mount(workshop, { source: null, at, type: null, flags: MS.private, data: null });
}

/** MS_… of mount(2); without a word of access times they are strict. */
function flagsOf(options: string): number {
  const names = options.split(",");
  const flags = names.reduce((all, name) => all | (FLAGS[name] ?? 0), 0);
  return names.includes("relatime") || names.includes("noatime") ? flags : flags | STRICTATIME;
}

/** What belongs to the mount is told with that. */
function fileSystemOptions(data: string): string {
  return data
    .split(",")
    .filter((option) => !["rw", "ro", "inode64"].includes(option))
    .join(",");
}

interface MountCall {
  readonly source: string | null;
  readonly at: string;
  readonly type: string | null;
  readonly flags: number;
  readonly data: string | null;
}

function mount(workshop: Workshop, { source, at, type, flags, data }: MountCall): void {
  call(workshop, `mount ${at}`, (args) => {
    const text = (value: string | null) => (value === null ? 0 : args.text(value));
    return [{ name: "mount", args: [text(source), text(at), text(type), flags, text(data)] }];
  });
}

function pivot(workshop: Workshop, root: string, old: string): void {
  call(workshop, "change its root folder", (args) => [
    { name: "pivot_root", args: [args.text(root), args.text(old)] },
  ]);
  if (root !== ".") enterFolder(workshop, "/");
}

function enterFolder(workshop: Workshop, path: string): void {
  call(workshop, `enter ${path}`, (args) => [{ name: "chdir", args: [args.text(path)] }]);
}

function call(
  workshop: Workshop,
  what: string,
  calls: readonly RemoteCall[] | ((args: Arguments) => RemoteCall[]),
): void {
  const args = new Arguments(workshop.data);
  const made = typeof calls === "function" ? calls(args) : calls;
  workshop.run(what, made, args.bytes());
}
