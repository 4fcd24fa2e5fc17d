/**
 * Shared memory without a name, made in cr for processes that are to map it together. It is anonymous (as fork(2)
 * hands it on) where the kernel lets us open our own mapping by /proc/self/map_files, which needs
 * CAP_CHECKPOINT_RESTORE; a memfd, which programs see under another name in /proc/PID/maps, elsewhere.
 */
import { closeSync, ftruncateSync, openSync } from "node:fs";
import { isErrno } from "../errors.js";
import { PAGE_BYTES } from "../state/address.js";
import { ownCall } from "./own-call.js";

const PROT_READ_WRITE = 3;
/** MAP_SHARED, MAP_ANONYMOUS, MAP_NORESERVE: nothing is counted for it before it is used. */
const FLAGS = 0x01 | 0x20 | 0x4000;
const MFD_CLOEXEC = 1;
const MFD_NOEXEC_SEAL = 8;

/** A descriptor of `sizeBytes` of zeros. `NativeError` or a Node error when there is no room. */
export function makeSharedMemory(sizeBytes: number): number {
  const length = Math.ceil(sizeBytes / PAGE_BYTES) * PAGE_BYTES;
  const start = ownCall("mmap", 0, length, PROT_READ_WRITE, FLAGS, -1, 0);
  try {
    return openSync(`/proc/self/map_files/${start.toString(16)}-${(start + length).toString(16)}`, "r+");
  } catch (error) {
    if (!isErrno(error, "EPERM", "EACCES", "ENOENT")) throw error;
    return makeMemfd(length);
  } finally {
    ownCall("munmap", start, length);
  }
}

function makeMemfd(length: number): number {
  const fd = ownCall("memfd_create", Buffer.from("shared\0"), MFD_CLOEXEC | MFD_NOEXEC_SEAL);
  try {
    ftruncateSync(fd, length);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
