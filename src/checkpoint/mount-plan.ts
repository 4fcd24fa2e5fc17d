/**
 * A table of mounts (proc_pid_mountinfo(5)) as steps that make it again from ours: what is visible in it, each a bind of
 * what is visible here, or a file system of its own. Pure; what is mounted over is not seen by the program either.
 */
import type { OwnMount } from "../state/space.js";
import type { Mount } from "../tracee/namespace-facts.js";

/** File systems without content that is not in the core, and that may be mounted anew. */
const FRESH = ["tmpfs", "proc", "devpts"] as const;

export interface MountPlan {
  /** Mounts in the order in which they are made: without the entries of a tmpfs. */
  readonly mounts: readonly OwnMount[];
  /** What cannot be made again. */
  readonly refused: readonly string[];
}

/** Plans a table of another namespace from ours. */
export function planMounts(theirs: readonly Mount[], ours: readonly Mount[]): MountPlan {
  const here = visible(ours);
  const peers = new Set(ours.flatMap(({ tags }) => tags.map(numberOf)));
  const fresh = new Map<string, Mount>();
  const mounts: OwnMount[] = [];
  const refused: string[] = [];
  const ordered = visible(theirs).sort((a, b) => depth(a.at) - depth(b.at));
  for (const mount of ordered) {
    const { device, type, options } = mount;
    const at = plain(mount.at);
    const slave = mount.tags.some((tag) => tag.startsWith("master:") && peers.has(numberOf(tag)));
    if (mount.tags.some((tag) => !tag.startsWith("master:")) || (mount.tags.length > 0 && !slave)) {
      refused.push(`mounts that hear of others than those of cr (${at})`);
    }
    const step = { at, options, slave, data: "" };
    const from = sourceOf(mount, here);
    const first = fresh.get(device);
    const kind = FRESH.find((one) => one === type);
    if (from !== null) mounts.push({ ...step, kind: "bind", from });
    else if (first !== undefined && isBelow(mount.root, first.root)) {
      mounts.push({ ...step, kind: "again", from: joined(first.at, below(mount.root, first.root)) });
    } else if (first === undefined && kind !== undefined) {
      fresh.set(device, mount);
      mounts.push({ ...step, kind, from: "", data: mount.data });
    } else refused.push(`the mount of ${type} on ${at}`);
  }
  if (ordered[0]?.at !== "/") refused.push("no mount on /");
  return { mounts, refused };
}

/** Those that a path leads to: not mounted over at their own place, nor below a place that is. */
export function visible(mounts: readonly Mount[]): Mount[] {
  const byId = new Map(mounts.map((mount) => [mount.id, mount]));
  const isCovered = (mount: Mount) => mounts.some(({ parent, at }) => parent === mount.id && at === mount.at);
  const isBuried = (mount: Mount): boolean => {
    const parent = byId.get(mount.parent);
    const isUnder = ({ id, parent: its, at }: Mount) =>
      id !== mount.id && its === mount.parent && at !== mount.at && isBelow(mount.at, at);
    if (mounts.some(isUnder)) return true;
    if (parent === undefined || parent === mount) return false;
    return (mount.at !== parent.at && isCovered(parent)) || isBuried(parent);
  };
  return mounts.filter((mount) => !isCovered(mount) && !isBuried(mount));
}

/** Where the same part of the same file system is to be found here; null where no path leads to it. */
function sourceOf({ device, root }: Mount, here: readonly Mount[]): string | null {
  for (const mount of here) {
    if (mount.device !== device || !isBelow(root, mount.root)) continue;
    const path = joined(mount.at, below(root, mount.root));
    const isHidden = here.some(({ at }) => at.length > mount.at.length && isBelow(path, plain(at)));
    if (!isHidden) return path;
  }
  return null;
}

function isBelow(path: string, folder: string): boolean {
  return folder === "/" || path === folder || path.startsWith(`${folder}/`);
}

function below(path: string, folder: string): string {
  return folder === "/" ? path : path.slice(folder.length);
}

function joined(folder: string, rest: string): string {
  const whole = folder === "/" ? rest : rest === "/" ? folder : folder + rest;
  return plain(whole === "" ? "/" : whole);
}

function depth(path: string): number {
  return path === "/" ? 0 : path.split("/").length;
}

function numberOf(tag: string): string {
  return tag.split(":")[1] ?? "";
}

/** Blanks and the like are written as `\040`. */
function plain(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
