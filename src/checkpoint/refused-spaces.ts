/** What of namespaces cannot be made again, by name: of each member of a tree beside its root, and what is in them. */
import { hasCapability } from "../host/capabilities.js";
import { processStatus } from "../host/process-status.js";
import { connectionsOf } from "../tracee/loopback.js";
import { childrenNamespace, isOwnProc, mountDifferences, shownByProc } from "../tracee/mounts.js";
import { idsInwards } from "../tracee/pid-namespace.js";
import { namespaceLinks } from "../tracee/proc-status.js";
import { readSegments } from "../tracee/segments.js";
import { threadsOf } from "../tracee/tasks.js";
import { ownKinds } from "./namespaces.js";
import type { Refusal } from "./refusal.js";
import { visitedOf } from "./spaces.js";

const SHARED = ["uts", "ipc", "net", "mnt", "user"];

/** What is refused of the root of a tree, which may be alone, or of another member. */
export function refusedNamespaces(pid: number, root: number): Refusal[] {
  const kinds = ownKinds(pid);
  const found = [
    ...kinds.flatMap((kind) => wrongKind(kind, pid, root).map((what) => ({ kind, what }))),
    ...wrongPids(kinds, pid, root).map((what) => ({ kind: "pid", what })),
    ...(pid === root ? inside(kinds, root) : []),
  ];
  return found.map(({ kind, what }) => ({ kind: "namespace", id: kind, what }));
}

function wrongKind(kind: string, pid: number, root: number): string[] {
  if (kind === "root") return ["another root folder (chroot)"];
  if (kind === "pid") return [];
  const what = `an own ${kind} namespace`;
  if (!SHARED.includes(kind)) return [what];
  if (namespaceLinks(pid).get(kind) !== namespaceLinks(root).get(kind)) {
    return [`${what}, another one than that of process ${root}`];
  }
  if (!hasCapability("CAP_SYS_ADMIN")) return [`${what}, which cr may not enter (CAP_SYS_ADMIN)`];
  return kind === "user" && threadsOf(pid).length > 1 ? ["several threads in an own user namespace"] : [];
}

/** The root makes the pid namespace that all others are in, and is not in it itself. */
function wrongPids(kinds: readonly string[], pid: number, root: number): string[] {
  const inside = namespaceLinks(pid).get("pid");
  const ofChildren = childrenNamespace(root);
  const own = namespaceLinks(root).get("pid");
  if (pid === root) {
    if (kinds.includes("pid")) return [`an own pid namespace: ${whomToTake(pid)}`];
    return ofChildren === null ? ["a pid namespace for children that it has not got yet"] : [];
  }
  if (ownKinds(root).includes("pid")) return [];
  if (inside !== ofChildren) return ["another pid namespace than all children of the root"];
  if (ofChildren === own) return [];
  return hasCapability("CAP_SYS_ADMIN")
    ? []
    : ["an own pid namespace, which cr may not make (CAP_SYS_ADMIN)"];
}

/** The first ancestor outside of it. */
function whomToTake(pid: number): string {
  const depth = idsInwards(pid).length;
  let at = processStatus(pid)?.ppid ?? 0;
  while (at > 1 && idsInwards(at).length >= depth) at = processStatus(at)?.ppid ?? 0;
  const status = at > 1 ? processStatus(at) : undefined;
  if (status === undefined) return "whoever made it is gone";
  return `checkpoint process ${status.pid} (${status.comm}), which made it`;
}

/** What is in the root's namespaces, where cr can tell. */
function inside(kinds: readonly string[], root: number): { kind: string; what: string }[] {
  if (!hasCapability("CAP_SYS_ADMIN")) return [];
  const visited = visitedOf(root);
  const all = {
    net: visited.includes("net") ? connectionsOf(root) : [],
    ipc: visited.includes("ipc") ? ipcContents() : [],
    mnt: kinds.includes("mnt") ? wrongMounts(root) : [],
  };
  return Object.entries(all).flatMap(([kind, list]) =>
    list.map((what) => ({ kind, what: `${what} in its own ${kind} namespace` })),
  );
}

/** Objects of the IPC namespace that we are in which belong to nobody in particular. */
function ipcContents(): string[] {
  const segments = readSegments().filter(({ attached }) => attached === 0);
  return segments.map(({ id }) => `the System V segment ${id}, which nobody has attached,`);
}

/** Its mounts have to be ours, but for a /proc on top of them that shows its pid namespace. */
function wrongMounts(root: number): string[] {
  const { extra, missing, propagation } = mountDifferences(root);
  const proc = extra.find((mount) => isOwnProc(mount) && shownByProc(root) === childrenNamespace(root));
  return [
    ...extra.filter((mount) => mount !== proc).map(({ type, at }) => `the mount of ${type} on ${at}`),
    ...missing.map(({ type, at }) => `the lack of the ${type} that cr has mounted on ${at}, or its options,`),
    ...(propagation === null ? ["mounts that hear of others than those of cr"] : []),
  ];
}
