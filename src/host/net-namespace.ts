/** Which network namespace cr is in (network_namespaces(7)). */
import { statSync } from "node:fs";

/** Its inode: the same for all processes in it while it lives. */
export function netNamespace(): bigint {
  return statSync("/proc/self/ns/net", { bigint: true }).ino;
}
