/** Mappings: which kinds are refused by name, and the identity of the files behind the others. */
import type { BigIntStats } from "node:fs";
import { isErrno } from "../errors.js";
import { readBuildId } from "../host/build-id.js";
import { formatDevice } from "../host/device-number.js";
import { hex } from "../state/address.js";
import { isSegment } from "../state/object-mapping.js";
import type { Vma } from "../state/vma.js";
import { HUGE_PAGES, objectOf, pathInside } from "../tracee/maps.js";
import { statByName } from "./by-name.js";
import { otherName } from "./other-name.js";
import type { Refusal } from "./refusal.js";

/** What a lazy restore that is not done yet looks like from outside (filling.ts). */
export const WATCHED_MEMORY = "memory watched by a userfaultfd";

/** VmFlags that mean memory this version cannot make again (proc_pid_smaps(5)). */
const REFUSED_FLAGS: Readonly<Record<string, string>> = {
  ht: "huge pages of hugetlbfs",
  io: "memory of a device",
  pf: "memory of a device",
  um: WATCHED_MEMORY,
  uw: "memory write-protected by a userfaultfd",
  ui: WATCHED_MEMORY,
  ss: "a shadow stack",
  sl: "memory sealed by mseal",
  dp: "memory the kernel may drop",
};
const REFUSED_PATHS: readonly [RegExp, string][] = [
  [/^\/\[aio\]/, "an asynchronous I/O context (io_setup)"],
  [/^\/anon_hugepage/, "huge pages of hugetlbfs"],
  [/^\/secretmem/, "secret memory (memfd_secret)"],
  [/^(anon_inode:|socket:|\/dev\/(?!shm\/|zero$))/, "memory of a device or kernel object"],
];

/** The mappings of a process that cannot be saved, each with its address. */
export function refusedMappings(vmas: readonly Vma[]): Refusal[] {
  return vmas.flatMap((vma) => {
    const what = refusedFor(vma);
    return what === null ? [] : [{ kind: "mapping", id: hex(vma.start), what }];
  });
}

function refusedFor(vma: Vma): string | null {
  // Memory that may only be executed gets a key of the kernel's own wherever there are keys.
  if (vma.protectionKey !== undefined && !vma.prot.startsWith("--x")) {
    return `memory with protection key ${vma.protectionKey} (pkey_mprotect)`;
  }
  if (isHugeMemory(vma)) return null;
  if (vma.kind === "special") return vma.path === "[uprobes]" ? "a probe of the kernel's (uprobes)" : null;
  const path = REFUSED_PATHS.find(([pattern]) => pattern.test(vma.path));
  if (path) return `${path[1]} (${vma.path})`;
  const flag = vma.flags.find((name) => name in REFUSED_FLAGS);
  if (flag !== undefined) return REFUSED_FLAGS[flag] ?? flag;
  const ofFile = vma.kind === "file" || vma.kind === "shared-file";
  if (ofFile && !vma.deleted && vma.file === null)
    return `a mapping of ${vma.path}, which cr does not find by this name`;
  return null;
}

/** Private memory of huge pages without a file: it can be made again like any other. */
function isHugeMemory({ kind, path, flags }: Vma): boolean {
  return kind === "anonymous" && path === HUGE_PAGES && flags.includes("ht");
}

/** Looks up the files behind mappings, each once; reading ELF files happens outside the stop. */
export class MappedFiles {
  readonly #known = new Map<string, Vma["file"]>();

  /**
   * The mappings with `file` filled in, null where the name leads to no file or to another one (a mount over it, a
   * name that is not UTF-8). A file is looked at again when its size or time changed.
   */
  identify(pid: number, vmas: readonly Vma[]): Vma[] {
    const stats = new Map<string, BigIntStats | null>();
    const statOf = (path: string) => {
      const stat = stats.has(path) ? stats.get(path) : statByName(pid, path);
      stats.set(path, stat ?? null);
      return stat ?? null;
    };
    return vmas.map((vma) => {
      if (vma.kind !== "file" && vma.kind !== "shared-file") return vma;
      const named = vma.deleted ? this.#underOtherName(pid, vma) : vma;
      return named === null ? vma : { ...named, file: this.#fileOf(pid, named, statOf(named.path)) };
    });
  }

  /** Only what is mapped shared has to be the very file; null when it has no name. */
  #underOtherName(pid: number, vma: Vma): Vma | null {
    if (vma.kind !== "shared-file" || isSegment(vma) || vma.path.startsWith("/memfd:")) return null;
    const path = otherName(pid, vma);
    return path === null ? null : { ...vma, path, deleted: false };
  }

  #fileOf(pid: number, vma: Vma, stat: BigIntStats | null): Vma["file"] {
    const { path } = vma;
    if (stat === null || isAnother(stat, vma)) return null;
    const key = `${path}\0${stat.ino}\0${stat.size}\0${stat.mtimeNs}`;
    const known = this.#known.get(key) ?? {
      sizeBytes: Number(stat.size),
      mtimeNs: stat.mtimeNs,
      buildId: buildIdOf(pathInside(pid, path)),
    };
    this.#known.set(key, known);
    if (vma.kind !== "shared-file") return known;
    return { ...known, owner: { mode: Number(stat.mode), uid: Number(stat.uid), gid: Number(stat.gid) } };
  }
}

/** Inodes are compared on one device only: overlayfs and btrfs show others in maps than in stat(2). */
function isAnother(stat: BigIntStats, { dev, ino }: Vma): boolean {
  const [major, minor] = dev.split(":").map((part) => Number.parseInt(part, 16));
  return formatDevice(stat.dev) === `${major}:${minor}` && stat.ino !== ino;
}

/** The build-id of a file we may read; a file that is only executable has none for us. */
export function buildIdOf(path: string): string | null {
  try {
    return readBuildId(path);
  } catch (error) {
    if (isErrno(error, "EACCES", "EPERM", "ENOENT")) return null;
    throw error;
  }
}

/** Shared anonymous memory that processes outside map too (`otherMappers`): it cannot be saved from one side. */
export function sharedWithOthers(
  vmas: readonly Vma[],
  mappers: ReadonlyMap<string, readonly number[]>,
): Refusal[] {
  return vmas.filter(isAnonymousShared).flatMap((vma) => {
    const others = mappers.get(objectOf(vma)) ?? [];
    if (others.length === 0) return [];
    return [{ kind: "mapping", id: hex(vma.start), what: `memory shared with process ${others.join(", ")}` }];
  });
}

/** Memory that has no name and may have several mappers. */
export function isAnonymousShared({ kind }: Vma): boolean {
  return kind === "shared-anonymous";
}
