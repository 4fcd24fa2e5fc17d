/** What stat(2) tells of a file that goes into its description, whether a descriptor or a mapping leads to it. */
import type { BigIntStats } from "node:fs";
import { formatDevice } from "../host/device-number.js";
import type { FileDescription } from "../state/fd.js";

export type FileStatus = Pick<
  FileDescription,
  "dev" | "ino" | "mode" | "rdev" | "uid" | "gid" | "sizeBytes" | "mtimeNs"
>;

/** The status as the core has it. */
export function fileStatus(stat: BigIntStats): FileStatus {
  return {
    dev: formatDevice(stat.dev),
    ino: stat.ino,
    mode: Number(stat.mode),
    rdev: formatDevice(stat.rdev),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    sizeBytes: Number(stat.size),
    mtimeNs: stat.mtimeNs,
  };
}
