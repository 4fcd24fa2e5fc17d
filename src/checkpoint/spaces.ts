/**
 * Namespaces that are carried (state/space.ts): those that all members of a tree share, with its root or without, and the
 * pid namespace of the root's children. What is in them and cannot be made again is refused (refused-spaces.ts).
 */
import { CrError, isErrno } from "../errors.js";
import type { OwnMount, Spaces } from "../state/space.js";
import { familyOf, type Relative } from "../tracee/kin.js";
import { isUp } from "../tracee/loopback.js";
import { childrenNamespace, groupsAreFixed, isOursWithProc, mountDifferences } from "../tracee/mounts.js";
import { readMounts, readUserMap } from "../tracee/namespace-facts.js";
import { isNativeError } from "../tracee/native-error.js";
import { innerPid } from "../tracee/pid-namespace.js";
import { namespaceLink, namespaceLinks } from "../tracee/proc-status.js";
import { readSetting, readSettings, VISITED, Visit, type VisitedKind } from "../tracee/space.js";
import { threadsOf } from "../tracee/tasks.js";
import { readTmpfs } from "../tracee/tmpfs.js";
import { planMounts } from "./mount-plan.js";
import { insiderOf, ownKinds } from "./namespaces.js";

/** Settings of an IPC namespace (proc_sys_kernel(5), mq_overview(7)). */
const OF_IPC = [
  ...["shmmax", "shmall", "shmmni", "shm_rmid_forced", "msgmax", "msgmnb", "msgmni", "sem"].map(
    (name) => `kernel/${name}`,
  ),
  ...["msg_max", "msgsize_max", "queues_max", "msg_default", "msgsize_default"].map(
    (name) => `fs/mqueue/${name}`,
  ),
];

/** Settings of a network namespace that programs notice on a loopback interface (ip(7), tcp(7), unix(7)). */
const OF_NET = [
  ...["ip_unprivileged_port_start", "ip_local_port_range", "ip_local_reserved_ports", "ping_group_range"],
  ...["ip_forward", "ip_nonlocal_bind", "ip_default_ttl", "tcp_congestion_control", "tcp_keepalive_time"],
  ...["tcp_keepalive_intvl", "tcp_keepalive_probes", "tcp_fin_timeout", "tcp_tw_reuse", "tcp_syncookies"],
  ...["tcp_max_syn_backlog", "tcp_rmem", "tcp_wmem", "tcp_timestamps", "tcp_sack", "tcp_window_scaling"],
  ...["conf/all/forwarding", "conf/default/forwarding", "conf/lo/forwarding", "conf/lo/rp_filter"],
]
  .map((name) => `net/ipv4/${name}`)
  .concat(
    ["bindv6only", "conf/all/disable_ipv6", "conf/default/disable_ipv6", "conf/lo/disable_ipv6"].map(
      (name) => `net/ipv6/${name}`,
    ),
    ["net/core/somaxconn", "net/unix/max_dgram_qlen"],
  );

/** Enters those of the namespaces of a tree in which cr has to ask for what is its own; none that it may not enter. */
export function visitSpaces(root: number): Disposable {
  const pids = familyOf(root).flatMap(({ pid, isDead }) => (isDead ? [] : [pid]));
  const insider = insiderOf(pids);
  try {
    return Visit.to(insider, visitedOf(insider));
  } catch (error) {
    // Who is gone, or closed to us, is told so by the look that follows.
    if (isErrno(error, "ENOENT", "ESRCH", "EACCES", "EPERM") || isNativeError(error, "EPERM")) {
      return Visit.to(root, []);
    }
    throw error;
  }
}

/** Kinds of its namespaces that are entered to look into them. */
export function visitedOf(insider: number): VisitedKind[] {
  const own = ownKinds(insider);
  return VISITED.filter((kind) => own.includes(kind));
}

/** What of one member makes equal namespaces; undefined where all are ours. */
export type SpacesOf = (pid: number) => Spaces | undefined;

/** Reads it in the visit, of processes that stand: the root's has all, those of others what concerns them. */
export function spacesOf(relatives: readonly Pick<Relative, "pid" | "isDead">[]): SpacesOf {
  const [root = 0, ...others] = relatives.map(({ pid }) => pid);
  const insider = insiderOf(relatives.flatMap(({ pid, isDead }) => (isDead ? [] : [pid])));
  const rootOutside = insider !== root;
  const ofOthers = rootOutside ? namespaceLink(insider, "pid") : childrenNamespace(root);
  const hasPids = ofOthers !== namespaceLink(root, "pid");
  if (ownKinds(insider).length === 0 && !hasPids) return () => undefined;
  const ids = others.map((pid): [number, number] => [pid, innerPid(pid)]);
  const all: Spaces = {
    ...ownOf(insider),
    ...(hasPids && { pid: { id: numberOf(ofOthers), ids } }),
    ...(rootOutside && { rootOutside }),
  };
  return (pid) => (pid === root ? all : ofMember(all, pid));
}

function ownOf(insider: number): Spaces {
  const kinds = ownKinds(insider);
  const links = namespaceLinks(insider);
  const id = (kind: string) => numberOf(links.get(kind));
  const name = (which: string) => readSetting(`kernel/${which}`) ?? "";
  const has = (kind: string) => kinds.includes(kind);
  return {
    ...(has("uts") && {
      uts: { id: id("uts"), hostname: name("hostname"), domainname: name("domainname") },
    }),
    ...(has("ipc") && { ipc: { id: id("ipc"), settings: readSettings(OF_IPC) } }),
    ...(has("net") && {
      net: { id: id("net"), loopbackUp: isUp("lo"), settings: readSettings(OF_NET) },
    }),
    ...(has("mnt") && { mnt: { id: id("mnt"), ...mountsOf(insider) } }),
    ...(has("cgroup") && { cgroup: { id: id("cgroup") } }),
    ...(has("user") && { user: { id: id("user"), ...usersOf(insider) } }),
  };
}

/** The ids of its threads, and not what is in its mounts. */
function ofMember(all: Spaces, pid: number): Spaces {
  const threads = threadsOf(pid).filter((tid) => tid !== pid);
  const ids = threads.map((tid): [number, number] => [tid, innerPid(pid, tid)]);
  return {
    ...all,
    ...(all.mnt && { mnt: { ...all.mnt, mounts: undefined } }),
    ...(all.pid && { pid: { ...all.pid, ids: [...all.pid.ids, ...ids] } }),
  };
}

function mountsOf(insider: number): Omit<NonNullable<Spaces["mnt"]>, "id"> {
  const { extra, propagation } = mountDifferences(insider);
  if (isOursWithProc(insider)) return { propagation: propagation ?? "private", proc: extra.length > 0 };
  const { mounts } = planMounts(readMounts(insider), readMounts("self"));
  return { propagation: "private", proc: false, mounts: mounts.map((mount) => withEntries(insider, mount)) };
}

/** The contents of a tmpfs. */
function withEntries(insider: number, mount: OwnMount): OwnMount {
  if (mount.kind !== "tmpfs") return mount;
  const entries = readTmpfs(insider, mount.at);
  if (typeof entries !== "string") return { ...mount, entries };
  throw new CrError("TARGET_CHANGED", `cannot checkpoint process ${insider}: it has just got ${entries}`, {
    hint: "try again",
  });
}

function usersOf(insider: number): Omit<NonNullable<Spaces["user"]>, "id"> {
  const rows = (which: "uid" | "gid") =>
    readUserMap(insider, which).map(([inside = 0, outside = 0, count = 1]): [number, number, number] => {
      return [inside, outside, count];
    });
  return { uids: rows("uid"), gids: rows("gid"), setgroups: !groupsAreFixed(insider) };
}

function numberOf(link: string | null | undefined): string {
  return /\d+/.exec(link ?? "")?.[0] ?? "";
}
