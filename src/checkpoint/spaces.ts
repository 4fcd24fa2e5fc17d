/**
 * Namespaces that are carried (state/space.ts): those that all members of a tree share with its root. What is in them
 * and cannot be made again is refused by name.
 */
import { isErrno } from "../errors.js";
import { hasCapability } from "../host/capabilities.js";
import type { Spaces } from "../state/space.js";
import { connectionsOf, isUp } from "../tracee/loopback.js";
import { isNativeError } from "../tracee/native-error.js";
import { namespaceLinks } from "../tracee/proc-status.js";
import { foreignNamespaces } from "../tracee/process-facts.js";
import { readSegments } from "../tracee/segments.js";
import { readSetting, readSettings, VISITED, Visit, type VisitedKind } from "../tracee/space.js";
import { ipcObjects } from "../tracee/sysv.js";
import type { Refusal } from "./refusal.js";

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

function visitedOf(root: number): VisitedKind[] {
  const foreign = foreignNamespaces(root);
  return VISITED.filter((kind) => foreign.includes(kind));
}

/** Of the namespaces of `pid` that differ from ours: those that are not those of `root`, or may not be entered. */
export function refusedSpaces(
  pid: number,
  { root, foreign }: { root: number; foreign: string[] },
): Refusal[] {
  const [theirs, own] = [namespaceLinks(root), namespaceLinks(pid)];
  const mayEnter = hasCapability("CAP_SYS_ADMIN");
  return foreign.flatMap((kind) => {
    const what = `an own ${kind} namespace`;
    const refusal = (why: string) => [{ kind: "namespace", id: kind, what: `${what}${why}` }];
    if (!VISITED.some((visited) => visited === kind)) return refusal("");
    if (own.get(kind) !== theirs.get(kind)) return refusal(`, another one than that of process ${root}`);
    return mayEnter ? [] : refusal(", which cr may not enter (CAP_SYS_ADMIN)");
  });
}

/** What is in the visited namespaces of the root and cannot be made again. */
export function refusedInSpaces(root: number): Refusal[] {
  const kinds = visitedOf(root);
  if (!hasCapability("CAP_SYS_ADMIN")) return [];
  const found = [
    ...(kinds.includes("net") ? connectionsOf(root).map((what) => ({ id: "net", what })) : []),
    ...(kinds.includes("ipc") ? inIpc().map((what) => ({ id: "ipc", what })) : []),
  ];
  return found.map(({ id, what }) => ({ kind: "namespace", id, what: `${what} in its own ${id} namespace` }));
}

/** Objects of the IPC namespace that we are in which belong to nobody in particular. */
function inIpc(): string[] {
  const segments = readSegments().filter(({ attached }) => attached === 0);
  return [
    ...segments.map(({ id }) => `the System V segment ${id}, which nobody has attached,`),
    ...ipcObjects("sem").map((id) => `the System V semaphore set ${id}`),
    ...ipcObjects("msg").map((id) => `the System V queue ${id}`),
  ];
}

/** What makes equal namespaces, read in the visit; undefined where all are ours. */
export function spacesOf(root: number): Spaces | undefined {
  const kinds = visitedOf(root);
  if (kinds.length === 0) return undefined;
  const links = namespaceLinks(root);
  const idOf = (kind: VisitedKind) => /\d+/.exec(links.get(kind) ?? "")?.[0] ?? "";
  const name = (which: string) => readSetting(`kernel/${which}`) ?? "";
  return {
    ...(kinds.includes("uts") && {
      uts: { id: idOf("uts"), hostname: name("hostname"), domainname: name("domainname") },
    }),
    ...(kinds.includes("ipc") && { ipc: { id: idOf("ipc"), settings: readSettings(OF_IPC) } }),
    ...(kinds.includes("net") && {
      net: { id: idOf("net"), loopbackUp: isUp("lo"), settings: readSettings(OF_NET) },
    }),
  };
}
