/** User names for messages: /etc/passwd only, since asking a directory service may block for seconds. */
import { readText } from "./sysfs.js";

/** The login name of a uid, or `uid N` when the file does not name it. */
export function userName(uid: number): string {
  const line = (readText("/etc/passwd") ?? "")
    .split("\n")
    .find((entry) => entry.split(":")[2] === String(uid));
  return line?.split(":")[0] ?? `uid ${uid}`;
}
