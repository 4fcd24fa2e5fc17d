/** System V shared memory segments: the kernel's list of them, and one opened as a file (sysvipc(7)). */
import { constants, openSync, readFileSync, writeFileSync } from "node:fs";
import { PAGE_BYTES } from "../state/address.js";
import { ownCall, tryOwnCall } from "./own-call.js";

const LIST = "/proc/sysvipc/shm";
const NEXT_ID = "/proc/sys/kernel/shm_next_id";
const PERMISSIONS = 0o777;
const SHM_DEST = 0o1000;
const SHM_LOCKED = 0o2000;
const IPC_CREAT = 0o1000;
const IPC_EXCL = 0o2000;
const IPC_RMID = 0;
const IPC_SET = 1;
const SHM_LOCK = 11;
const ATTEMPTS = 20;
const SHMID_DS_BYTES = 128;

/** One line of /proc/sysvipc/shm. */
export interface SegmentInfo {
  readonly key: number;
  readonly id: number;
  readonly mode: number;
  readonly removed: boolean;
  readonly locked: boolean;
  readonly sizeBytes: number;
  /** Mappings of it in all processes. */
  readonly attached: number;
  readonly uid: number;
  readonly gid: number;
}

/** All segments of our IPC namespace; none where the kernel has no System V shared memory. */
export function readSegments(): SegmentInfo[] {
  try {
    return parseSegments(readFileSync(LIST, "latin1"));
  } catch {
    return [];
  }
}

/** Parses the list (proc_sysvipc(5)): a line of headings, then numbers; permissions are octal. */
export function parseSegments(text: string): SegmentInfo[] {
  const lines = text.split("\n").slice(1).filter(Boolean);
  return lines.map((line) => {
    const columns = line.trim().split(/\s+/);
    const at = (index: number) => Number(columns[index] ?? 0);
    const bits = Number.parseInt(columns[2] ?? "0", 8);
    return {
      key: at(0),
      id: at(1),
      mode: bits & PERMISSIONS,
      removed: (bits & SHM_DEST) !== 0,
      locked: (bits & SHM_LOCKED) !== 0,
      sizeBytes: at(3),
      attached: at(6),
      uid: at(7),
      gid: at(8),
    };
  });
}

/**
 * Opens a segment like a file, for reading and writing, by way of a mapping of our own that is there for an instant.
 * A `NativeError` where it may not be attached; EPERM without CAP_CHECKPOINT_RESTORE.
 */
export function openSegment({ id, sizeBytes }: Pick<SegmentInfo, "id" | "sizeBytes">): number {
  const start = BigInt(ownCall("shmat", id, 0, 0));
  const end = start + BigInt(Math.ceil(sizeBytes / PAGE_BYTES) * PAGE_BYTES);
  try {
    return openSync(`/proc/self/map_files/${start.toString(16)}-${end.toString(16)}`, constants.O_RDWR);
  } finally {
    ownCall("shmdt", start);
  }
}

/**
 * Makes a segment with exactly this id, or null when the id is taken. Needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN
 * (errno errors); EEXIST as `NativeError` when the key is taken.
 */
export function makeSegment(wanted: Pick<SegmentInfo, "key" | "id" | "sizeBytes" | "mode">): number | null {
  const { key, id, sizeBytes, mode } = wanted;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    writeFileSync(NEXT_ID, String(id));
    const made = ownCall("shmget", key, sizeBytes, IPC_CREAT | IPC_EXCL | mode);
    if (made === id) return made;
    // The wish is for the next one that anybody makes: somebody else was faster.
    removeSegment(made);
  }
  return null;
}

/** Marks it for removal: it is gone with its last mapping. */
export function removeSegment(id: number): void {
  tryOwnCall("shmctl", id, IPC_RMID, 0);
}

/** Sets owner and permissions, and whether it is locked in memory. */
export function setSegment(wanted: Omit<SegmentInfo, "attached" | "key" | "sizeBytes" | "removed">): void {
  const { id, uid, gid, mode, locked } = wanted;
  // struct shmid64_ds begins with struct ipc64_perm: key, uid, gid, cuid, cgid, mode.
  const ds = Buffer.alloc(SHMID_DS_BYTES);
  ds.writeUInt32LE(uid, 4);
  ds.writeUInt32LE(gid, 8);
  ds.writeUInt32LE(mode, 20);
  ownCall("shmctl", id, IPC_SET, ds);
  if (locked) ownCall("shmctl", id, SHM_LOCK, 0);
}
