/** Names of files of /proc that belong to one process. */

/** The same file of a process that was `recordedPid` and is `pid` now; other paths as they are. */
export function procPathFor(path: string, recordedPid: number, pid: number): string {
  const own = `/proc/${recordedPid}`;
  if (path !== own && !path.startsWith(`${own}/`)) return path;
  return `/proc/${pid}${path.slice(own.length)}`.replace(`/task/${recordedPid}`, `/task/${pid}`);
}
