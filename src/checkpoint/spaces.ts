/**
 * Namespaces that are carried (state/space.ts): those that all members of a tree share with its root, and the pid
 * namespace of the root's children. What is in them and cannot be made again is refused (refused-spaces.ts).
 */
import { isErrno } from "../errors.js";
import type { Spaces } from "../state/space.js";
import { isUp } from "../tracee/loopback.js";
import { childrenNamespace, groupsAreFixed, mountDifferences } from "../tracee/mounts.js";
import { readUserMap } from "../tracee/namespace-facts.js";
import { isNativeError } from "../tracee/native-error.js";
import { innerPid } from "../tracee/pid-namespace.js";
import { namespaceLinks } from "../tracee/proc-status.js";
import { readSetting, readSettings, VISITED, Visit, type VisitedKind } from "../tracee/space.js";
import { threadsOf } from "../tracee/tasks.js";
import { ownKinds } from "./namespaces.js";

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

/** Enters those of its namespaces in which cr has to ask for what is its own; none that it may not enter. */
export function visitSpaces(root: number): Disposable {
  try {
    return Visit.to(root, visitedOf(root));
  } catch (error) {
    // Who is gone, or closed to us, is told so by the look that follows.
    if (isErrno(error, "ENOENT", "ESRCH", "EACCES", "EPERM") || isNativeError(error, "EPERM")) {
      return Visit.to(root, []);
    }
    throw error;
  }
}

/** Kinds of its namespaces that are entered to look into them. */
export function visitedOf(root: number): VisitedKind[] {
  const own = ownKinds(root);
  return VISITED.filter((kind) => own.includes(kind));
}

/** What makes equal namespaces, read in the visit, of processes that stand; undefined where all are ours. */
export function spacesOf(relatives: readonly { readonly pid: number }[]): Spaces | undefined {
  const [root = 0, ...others] = relatives.map(({ pid }) => pid);
  const kinds = ownKinds(root);
  const children = childrenNamespace(root);
  const hasChildren = children !== namespaceLinks(root).get("pid");
  if (kinds.length === 0 && !hasChildren) return undefined;
  const links = namespaceLinks(root);
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
    ...(has("mnt") && { mnt: mountsOf(root, id("mnt")) }),
    ...(hasChildren && {
      pid: { id: numberOf(children), ids: others.map((pid) => [pid, innerPid(pid)] as [number, number]) },
    }),
    ...(has("user") && { user: usersOf(root, id("user")) }),
  };
}

/** The same with the ids of the threads of one member. */
export function spacesOfMember(spaces: Spaces, pid: number): Spaces {
  if (!spaces.pid?.ids.some(([outside]) => outside === pid)) return spaces;
  const threads = threadsOf(pid).filter((tid) => tid !== pid);
  const ids = threads.map((tid): [number, number] => [tid, innerPid(pid, tid)]);
  return { ...spaces, pid: { ...spaces.pid, ids: [...spaces.pid.ids, ...ids] } };
}

function mountsOf(root: number, id: string): Spaces["mnt"] {
  const { extra, propagation } = mountDifferences(root);
  return { id, propagation: propagation ?? "private", proc: extra.length > 0 };
}

function usersOf(root: number, id: string): Spaces["user"] {
  const rows = (which: "uid" | "gid") =>
    readUserMap(root, which).map(([inside = 0, outside = 0, count = 1]): [number, number, number] => {
      return [inside, outside, count];
    });
  return { id, uids: rows("uid"), gids: rows("gid"), setgroups: !groupsAreFixed(root) };
}

function numberOf(link: string | null | undefined): string {
  return /\d+/.exec(link ?? "")?.[0] ?? "";
}
