/** The path of a file that is only known by its handle, as fdinfo names what an inotify instance watches. */
import { closeSync, constants, lstatSync, openSync, readFileSync, readlinkSync } from "node:fs";
import type { InotifyWatch } from "./fdinfo.js";
import { tryOwnCall } from "./own-call.js";

const O_PATH = 0o10000000;
const HEADER_BYTES = 8;

/** Null when it has no path by now, or when the caller may not ask (CAP_DAC_READ_SEARCH, open_by_handle_at(2)). */
export function pathOfHandle({ dev, ino, handle, handleType }: InotifyWatch): string | null {
  const bytes = Buffer.alloc(HEADER_BYTES + handle.length);
  bytes.writeUInt32LE(handle.length, 0);
  bytes.writeInt32LE(handleType, 4);
  handle.copy(bytes, HEADER_BYTES);
  for (const mount of mountPoints(dev)) {
    const mountFd = tryOpen(mount);
    if (mountFd < 0) continue;
    const fd = tryOwnCall("open_by_handle_at", mountFd, bytes, O_PATH | constants.O_NOFOLLOW);
    closeSync(mountFd);
    if (fd < 0) continue;
    const path = readlinkSync(`/proc/self/fd/${fd}`);
    closeSync(fd);
    if (path.startsWith("/") && lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino === ino)
      return path;
  }
  return null;
}

/** Mount points of a file system, by `major:minor` (proc_pid_mountinfo(5)). */
function mountPoints(dev: string): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .flatMap((line) => {
      const [, , device, , point = ""] = line.split(" ");
      return device === dev
        ? [point.replace(/\\(\d{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8)))]
        : [];
    });
}

function tryOpen(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NONBLOCK);
  } catch {
    return -1;
  }
}
