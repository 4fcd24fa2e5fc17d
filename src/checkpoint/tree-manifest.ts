/** The manifest of a tree that stood still: what is between its members, from what was looked at in the stop. */
import { encodeManifest } from "../core/manifest.js";
import type { WrittenCore } from "../core/writer.js";
import { statusLine } from "../host/process-status.js";
import type { HostNote } from "../state/process.js";
import type { Tree, TreeMember } from "../state/tree.js";
import type { Relative } from "../tracee/kin.js";
import { objectOf } from "../tracee/maps.js";
import { terminalOf } from "./controlling-terminals.js";
import type { Look, TreeLook } from "./look.js";
import { isAnonymousShared } from "./mappings.js";
import { sharesOf } from "./shares.js";

/** The bytes of manifest.json: `cores` are those of the members that live. */
export function manifestOf(
  { relatives, looks, sharers }: TreeLook,
  { cores, host }: { readonly cores: ReadonlyMap<number, WrittenCore>; readonly host: HostNote },
): Buffer {
  const { takenMs, hostname, kernel, bootId, tool } = host;
  return encodeManifest({
    root: relatives[0]?.pid ?? 0,
    takenMs,
    hostname,
    kernel,
    bootId,
    tool,
    members: relatives.map((relative) => ({
      ...memberOf(relative, cores.get(relative.pid)),
      shares: sharesOf(relative.pid, sharers),
    })),
    memory: sharedMemory(looks),
    softErrors: [],
  });
}

function memberOf(
  { pid, parent, stat, isDead }: Relative,
  core: WrittenCore | undefined,
): Omit<TreeMember, "shares"> {
  return {
    pid,
    parent,
    group: stat.pgid,
    session: stat.sid,
    terminal: terminalOf(stat),
    exitSignal: stat.exitSignal,
    core: core === undefined ? null : { file: `core.${pid}`, ...core },
    zombie: isDead ? { comm: stat.comm, waitStatus: stat.exitCode, uid: ownerOf(pid) } : null,
  };
}

/** Who a dead child was: its real user. */
function ownerOf(pid: number): number {
  return Number.parseInt(statusLine(pid, "Uid") ?? "0", 10);
}

/** Shared anonymous memory that several members map. */
export function sharedMemory(looks: ReadonlyMap<number, Look>): Tree["memory"] {
  const objects = new Map<string, Tree["memory"][number]>();
  for (const [pid, { facts }] of looks) {
    for (const vma of facts.vmas.filter(isAnonymousShared)) {
      const { dev, ino } = vma;
      const known = objects.get(objectOf(vma)) ?? { dev, ino, sizeBytes: 0, members: [] };
      const endBytes = Number(vma.offset + vma.end - vma.start);
      const members = known.members.includes(pid) ? known.members : [...known.members, pid];
      objects.set(objectOf(vma), { ...known, members, sizeBytes: Math.max(known.sizeBytes, endBytes) });
    }
  }
  return [...objects.values()].filter(({ members }) => members.length > 1);
}
