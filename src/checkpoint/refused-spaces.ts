/** What of namespaces cannot be made again, by name: of each member of a tree beside the others, and what is in them. */
import { hasCapability } from "../host/capabilities.js";
import { membershipOf } from "../host/cgroup-membership.js";
import { processStatus } from "../host/process-status.js";
import { isSegment } from "../state/object-mapping.js";
import { connectionsOf } from "../tracee/loopback.js";
import { childrenNamespace, isOursWithProc, shownByProc } from "../tracee/mounts.js";
import { readMounts } from "../tracee/namespace-facts.js";
import { idsInwards } from "../tracee/pid-namespace.js";
import { namespaceLink, namespaceLinks, ownNamespaces } from "../tracee/proc-status.js";
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

/** What all members of a tree are compared with: asked once for all of them. */
interface Common {
  readonly root: number;
  readonly rootKinds: readonly string[];
  readonly insider: number;
  readonly insiderKinds: readonly string[];
  readonly links: ReadonlyMap<string, string>;
  /** Pid namespaces of cr, of the root, and of what that makes. */
  readonly ourPids: string | undefined;
  readonly rootPids: string | undefined;
  readonly childrenPids: string | null;
}

const known = new WeakMap<readonly number[], Common>();

function commonOf(pids: readonly number[]): Common {
  const asked = known.get(pids);
  if (asked !== undefined) return asked;
  const [root = 0] = pids;
  const insider = insiderOf(pids);
  const rootKinds = ownKinds(root);
  const common = {
    ...{ root, rootKinds, insider, insiderKinds: insider === root ? rootKinds : ownKinds(insider) },
    ...{ links: namespaceLinks(insider), childrenPids: childrenNamespace(root) },
    ...{ ourPids: ownNamespaces().get("pid"), rootPids: namespaceLink(root, "pid") },
  };
  known.set(pids, common);
  return common;
}

/** What is refused of a process, one of the living members of a tree, whose root is first. */
export function refusedNamespaces(pid: number, facts: ProcessFacts, pids: readonly number[]): Refusal[] {
  const common = commonOf(pids);
  const { root, insider } = common;
  const isRoot = pid === root;
  const kinds = isRoot ? common.rootKinds : pid === insider ? common.insiderKinds : ownKinds(pid);
  const links = kinds.length === 0 ? new Map<string, string>() : namespaceLinks(pid);
  const found = [
    ...kinds.flatMap((kind) =>
      wrongKind(kind, { pid, kinds, links }, common).map((what) => ({ kind, what })),
    ),
    ...(isRoot && insider !== root ? outside(facts, insider) : lacking(kinds, common)),
    ...(isRoot ? wrongRoot(common) : wrongPids(pid, facts, common)),
    ...(pid === insider && kinds.length > 0 ? inside(insider) : []),
    ...(kinds.includes("mnt") && !isOursWithProc(insider) ? elsewhere(pid, facts) : []),
  ];
  return found.map(({ kind, what }) => ({ kind: "namespace", id: kind, what }));
}

interface Found {
  readonly kind: string;
  readonly what: string;
}

interface Member {
  readonly pid: number;
  readonly kinds: readonly string[];
  readonly links: ReadonlyMap<string, string>;
}

function wrongKind(kind: string, { pid, kinds, links }: Member, common: Common): string[] {
  if (kind === "pid") return [];
  if (kind === "root") return kinds.includes("mnt") ? [] : ["another root folder (chroot)"];
  const what = `an own ${kind} namespace`;
  if (!SHARED.includes(kind)) return [what];
  if (links.get(kind) !== common.links.get(kind)) {
    return [`${what}, another one than that of process ${common.insider}`];
  }
  if (!hasCapability("CAP_SYS_ADMIN")) return [`${what}, which cr may not enter (CAP_SYS_ADMIN)`];
  return kind === "user" && threadsOf(pid).length > 1 ? ["several threads in an own user namespace"] : [];
}

/** Members are in all namespaces or in none. */
function lacking(kinds: readonly string[], { insider, insiderKinds }: Common): Found[] {
  const missing = insiderKinds.filter((kind) => SHARED.includes(kind) && !kinds.includes(kind));
  return missing.map((kind) => ({
    kind,
    what: `the ${kind} namespace of cr, another one than that of process ${insider}`,
  }));
}

/** Nobody who shares a folder or memory with another may enter mounts or users (setns(2)), nor pids be chosen there. */
export function refusedSharers(pids: readonly number[]): Refusal[] {
  const { insiderKinds, rootPids, childrenPids } = commonOf(pids);
  const kind = insiderKinds.find((one) => ["mnt", "user", "cgroup"].includes(one));
  if (kind === undefined && rootPids === childrenPids) return [];
  const what = "processes that share what else only threads do (clone(2)) in an own namespace";
  return [{ kind: "namespace", id: kind ?? "pid", what }];
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

function wrongRoot({ root, rootKinds, rootPids, insider, childrenPids }: Common): Found[] {
  if (rootKinds.includes("pid")) return [{ kind: "pid", what: `an own pid namespace: ${whomToTake(root)}` }];
  const isOwn = childrenPids === rootPids;
  if (childrenPids === null || (!isOwn && insider !== root)) {
    return [{ kind: "pid", what: "a pid namespace for children that it has not got" }];
  }
  return isOwn || hasCapability("CAP_SYS_ADMIN")
    ? []
    : [{ kind: "pid", what: "a pid namespace for its children, which cr may not make (CAP_SYS_ADMIN)" }];
}

/** All but the root are in one. Where the root has two numbers, a tree is refused as a whole (look.ts). */
function wrongPids(pid: number, { status }: ProcessFacts, common: Common): Found[] {
  const { root, rootPids, insider, ourPids, childrenPids, links } = common;
  if (rootPids !== ourPids) return [];
  const isDeeper = (status.get("NSpid") ?? "").split(/\s+/).length > 1;
  const link = isDeeper ? namespaceLink(pid, "pid") : ourPids;
  const ofOthers = insider === root ? childrenPids : links.get("pid");
  if (link === ofOthers) return [];
  return [{ kind: "pid", what: "another pid namespace than other children of the root" }];
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
  const kinds = ownKinds(insider);
  if (kinds.length === 0) return [];
  const visited = visitedOf(insider);
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
  const isOthers = proc && shownByProc(insider, proc.at) !== namespaceLink(insider, "pid");
  const contents = mounts
    .filter(({ kind }) => kind === "tmpfs")
    .map(({ at }) => readTmpfs(insider, at))
    .filter((entries) => typeof entries === "string");
  return [...refused, ...contents, ...(isOthers ? [`the /proc of others on ${proc.at}`] : [])];
}
