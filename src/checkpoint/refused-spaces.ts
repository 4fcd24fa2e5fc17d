/** What of namespaces cannot be made again, by name: of each member of a tree beside the others, and what is in them. */
import { hasCapability } from "../host/capabilities.js";
import { membershipOf } from "../host/cgroup-membership.js";
import { processStatus } from "../host/process-status.js";
import { isSegment } from "../state/object-mapping.js";
import { connectionsOf } from "../tracee/loopback.js";
import { childrenNamespace, isOursWithProc, shownByProc } from "../tracee/mounts.js";
import { readMounts } from "../tracee/namespace-facts.js";
import { idsInwards } from "../tracee/pid-namespace.js";
import { namespaceLinks } from "../tracee/proc-status.js";
import type { ProcessFacts } from "../tracee/process-facts.js";
import { readSegments } from "../tracee/segments.js";
import { Visit } from "../tracee/space.js";
import { threadsOf } from "../tracee/tasks.js";
import { readTmpfs } from "../tracee/tmpfs.js";
import { planMounts } from "./mount-plan.js";
import { insiderOf, ownKinds } from "./namespaces.js";
import { elsewhere } from "./outer-names.js";
import type { Refusal } from "./refusal.js";
import { visitedOf } from "./spaces.js";

const SHARED = ["uts", "ipc", "net", "mnt", "user", "cgroup"];
const STANDARD_FDS_MAX = 2;

/** What is refused of a process, one of the living members of a tree, whose root is first. */
export function refusedNamespaces(pid: number, facts: ProcessFacts, pids: readonly number[]): Refusal[] {
  const [root = pid] = pids;
  const insider = insiderOf(pids);
  const kinds = ownKinds(pid);
  const found = [
    ...kinds.flatMap((kind) => wrongKind(kind, pid, insider).map((what) => ({ kind, what }))),
    ...(pid === root && insider !== root ? outside(facts, insider) : lacking(pid, insider)),
    ...(pid === root ? wrongRoot(kinds, root, insider) : wrongPids(pid, root, insider)),
    ...(pid === insider ? inside(insider) : []),
    ...(kinds.includes("mnt") && !isOursWithProc(insider) ? elsewhere(pid, facts) : []),
  ];
  return found.map(({ kind, what }) => ({ kind: "namespace", id: kind, what }));
}

interface Found {
  readonly kind: string;
  readonly what: string;
}

function wrongKind(kind: string, pid: number, insider: number): string[] {
  if (kind === "pid") return [];
  if (kind === "root") return ownKinds(pid).includes("mnt") ? [] : ["another root folder (chroot)"];
  const what = `an own ${kind} namespace`;
  if (!SHARED.includes(kind)) return [what];
  if (namespaceLinks(pid).get(kind) !== namespaceLinks(insider).get(kind)) {
    return [`${what}, another one than that of process ${insider}`];
  }
  if (!hasCapability("CAP_SYS_ADMIN")) return [`${what}, which cr may not enter (CAP_SYS_ADMIN)`];
  return kind === "user" && threadsOf(pid).length > 1 ? ["several threads in an own user namespace"] : [];
}

/** Members are in all namespaces or in none. */
function lacking(pid: number, insider: number): Found[] {
  const has = ownKinds(pid);
  const missing = ownKinds(insider).filter((kind) => SHARED.includes(kind) && !has.includes(kind));
  return missing.map((kind) => ({
    kind,
    what: `the ${kind} namespace of cr, another one than that of process ${insider}`,
  }));
}

/** What a root has that is not in the namespaces of all others, where cr looks for it. */
function outside({ descriptors, vmas }: ProcessFacts, insider: number): Found[] {
  const visited = visitedOf(insider);
  const sockets = descriptors.filter(({ fd, stat }) => fd > STANDARD_FDS_MAX && stat.isSocket());
  const segments = vmas.filter(isSegment);
  const where = (kind: string) => `outside of the ${kind} namespace of process ${insider}`;
  return [
    ...(visited.includes("net") ? sockets : []).map(({ fd }) => {
      return { kind: "net", what: `the socket ${fd} ${where("net")}` };
    }),
    ...(visited.includes("ipc") ? segments : []).map(({ path }) => {
      return { kind: "ipc", what: `${path} ${where("ipc")}` };
    }),
  ];
}

function wrongRoot(kinds: readonly string[], root: number, insider: number): Found[] {
  const ofChildren = childrenNamespace(root);
  if (kinds.includes("pid")) return [{ kind: "pid", what: `an own pid namespace: ${whomToTake(root)}` }];
  const isOwn = ofChildren === namespaceLinks(root).get("pid");
  if (ofChildren === null || (!isOwn && insider !== root)) {
    return [{ kind: "pid", what: "a pid namespace for children that it has not got" }];
  }
  return [];
}

/** All but the root are in one. */
function wrongPids(pid: number, root: number, insider: number): Found[] {
  if (ownKinds(root).includes("pid")) return [];
  const ofOthers = insider === root ? childrenNamespace(root) : namespaceLinks(insider).get("pid");
  if (namespaceLinks(pid).get("pid") !== ofOthers) {
    return [{ kind: "pid", what: "another pid namespace than other children of the root" }];
  }
  const isOwn = ofOthers !== namespaceLinks(root).get("pid");
  if (!isOwn || hasCapability("CAP_SYS_ADMIN")) return [];
  return [{ kind: "pid", what: "an own pid namespace, which cr may not make (CAP_SYS_ADMIN)" }];
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

/** What is in the namespaces, where cr can tell. */
function inside(insider: number): Found[] {
  if (!hasCapability("CAP_SYS_ADMIN")) return [];
  const [kinds, visited] = [ownKinds(insider), visitedOf(insider)];
  const all = {
    net: visited.includes("net") ? connectionsOf(insider) : [],
    ipc: visited.includes("ipc") ? ipcContents() : [],
    mnt: kinds.includes("mnt") ? wrongMounts(insider) : [],
    cgroup: kinds.includes("cgroup") && !isAtTop(insider) ? ["other control groups than the first"] : [],
  };
  return Object.entries(all).flatMap(([kind, list]) =>
    list.map((what) => ({ kind, what: `${what} in its own ${kind} namespace` })),
  );
}

/** Whether it is where its namespace of control groups begins. */
function isAtTop(insider: number): boolean {
  using _visit = Visit.to(insider, ["cgroup"]);
  return membershipOf(insider).every(({ path }) => path === "/");
}

/** Objects of the IPC namespace that we are in which belong to nobody in particular. */
function ipcContents(): string[] {
  const segments = readSegments().filter(({ attached }) => attached === 0);
  return segments.map(({ id }) => `the System V segment ${id}, which nobody has attached,`);
}

function wrongMounts(insider: number): string[] {
  if (isOursWithProc(insider)) return [];
  const { mounts, refused } = planMounts(readMounts(insider), readMounts("self"));
  const proc = mounts.find(({ kind }) => kind === "proc");
  const isOthers = proc && shownByProc(insider, proc.at) !== namespaceLinks(insider).get("pid");
  const contents = mounts
    .filter(({ kind }) => kind === "tmpfs")
    .map(({ at }) => readTmpfs(insider, at))
    .filter((entries) => typeof entries === "string");
  return [...refused, ...contents, ...(isOthers ? [`the /proc of others on ${proc.at}`] : [])];
}
