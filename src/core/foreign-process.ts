/** Who a process was, from a core that another tool wrote; what it does not say is as in a new process. */
import type { Credentials } from "../state/credentials.js";
import type { ProcessNote } from "../state/process.js";
import type { StandardNotes } from "./standard-notes.js";

/** The executable is known by its path alone, the working folder not at all (path `""`). */
export function foreignProcess({ info, threads }: StandardNotes, exe: string): ProcessNote {
  const pid = info?.pid || (threads[0]?.status.tid ?? 1);
  return {
    pid,
    ppid: Math.max(0, info?.ppid ?? 0),
    pgid: Math.max(0, info?.pgid ?? 0),
    sid: Math.max(0, info?.sid ?? 0),
    comm: info?.comm ?? "",
    args: info?.args ?? "",
    exe: { path: exe, dev: "0:0", ino: 0n, sizeBytes: 0, mtimeNs: 0n, buildId: null },
    startTicks: 0n,
    cwd: { path: "", dev: "0:0", ino: 0n },
    umask: 0o022,
    personality: 0,
    oomScoreAdj: 0,
    coredumpFilter: 0x33,
    dumpable: 1,
    parentDeathSignal: 0,
    childSubreaper: false,
    noNewPrivs: false,
    thpDisable: false,
    mdwe: 0,
    memoryMerge: false,
    membarriers: 0,
    cgroups: [],
    seccomp: [],
    stopSignal: 0,
    leftOut: [],
  };
}

/** Real user and group; the sets of capabilities are empty, which means unknown here. */
export function foreignCredentials({ info }: StandardNotes): Credentials {
  const all = (id: number) => ({ real: id, effective: id, saved: id, fs: id });
  const none = { inheritable: 0n, permitted: 0n, effective: 0n, bounding: 0n, ambient: 0n };
  return {
    uid: all(info?.uid ?? 0),
    gid: all(info?.gid ?? 0),
    groups: [],
    capabilities: none,
    securebits: 0,
  };
}
