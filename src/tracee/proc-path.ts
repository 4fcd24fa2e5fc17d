/** Names of files of /proc that belong to one process. */

/** Where it is mounted. */
export const PROC = "/proc";

/** By what a process enters a namespace of another (setns(2)). */
export function namespacePath(pid: number, kind: string): string {
  return `${PROC}/${pid}/ns/${kind}`;
}

/** The same file of a process that was `recordedPid` and is `pid` now; other paths as they are. */
export function procPathFor(path: string, recordedPid: number, pid: number): string {
  const own = `/proc/${recordedPid}`;
  if (path !== own && !path.startsWith(`${own}/`)) return path;
  return `/proc/${pid}${path.slice(own.length)}`.replace(`/task/${recordedPid}`, `/task/${pid}`);
}
