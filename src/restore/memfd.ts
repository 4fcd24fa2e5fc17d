/** Files that exist in memory only (memfd_create(2)): made again with content, mode and seals. */
import { closeSync, fchmodSync, ftruncateSync } from "node:fs";
import { readPadded, writeAll } from "../file-bytes.js";
import { reopenDescriptor } from "../host/own-descriptors.js";
import { RUN_BYTES_MAX } from "../state/address.js";
import type { FileDescription } from "../state/fd.js";
import type { ObjectOf } from "../state/kernel-object.js";
import { ownCall } from "../tracee/own-call.js";
import { coreOf } from "./content.js";
import { fileKey, type Piece, type Pieces, writePieces } from "./mapped-files.js";

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_NOEXEC_SEAL = 8;
const F_SEAL_SEAL = 1;
const F_SEAL_WRITE = 8;
const F_SEAL_FUTURE_WRITE = 0x10;
const F_SEAL_EXEC = 0x20;
const F_ADD_SEALS = 1033;
const O_ACCMODE = 0o3;
const O_RDWR = 0o2;
const MODE_BITS = 0o7777;

type Add = (description: FileDescription, fd: number, position: bigint) => void;

/** Seals that have to wait until everything is mapped: what is writable by then stays so (F_SEAL_FUTURE_WRITE). */
export type LateSeals = () => void;

/** Descriptions of one memfd are opened from one file; `pieces` is what mappings showed of them. */
export function openMemfds(
  wanted: readonly FileDescription[],
  core: { readonly fd: number; readonly pieces: Pieces },
  add: Add,
): LateSeals {
  const late: LateSeals[] = [];
  for (const ino of new Set(wanted.map((one) => one.ino))) {
    const descriptions = wanted.filter((one) => one.ino === ino);
    const [first] = descriptions;
    if (first?.object?.kind !== "memfd") continue;
    const content = descriptions.find((one) => one.content)?.content;
    const fd = make(first, first.object, {
      content,
      coreFd: content ? coreOf(content, core.fd) : core.fd,
      pieces: core.pieces.get(fileKey(first)) ?? [],
    });
    const { seals } = first.object;
    const isLate = seals & F_SEAL_FUTURE_WRITE && (seals & F_SEAL_WRITE) === 0;
    const original = descriptions.find(({ flags }) => (flags & O_ACCMODE) === O_RDWR);
    try {
      if (seals !== 0 && original && isLate) late.push(() => seal(fd, seals));
      else seal(fd, seals);
      for (const one of descriptions.filter((other) => other !== original)) {
        add(one, reopenDescriptor(fd, one.flags), one.position);
      }
    } finally {
      if (original) add(original, fd, original.position);
      else closeSync(fd);
    }
  }
  return () => {
    for (const put of late) put();
  };
}

/** A file that was made without the right to be sealed has its one seal from the start. */
function seal(fd: number, seals: number): void {
  if (seals !== 0 && seals !== F_SEAL_SEAL) ownCall("fcntl", fd, F_ADD_SEALS, seals);
}

function make(
  { sizeBytes, mode }: FileDescription,
  { name, seals }: ObjectOf<"memfd">,
  from: {
    readonly content: FileDescription["content"] | undefined;
    readonly coreFd: number;
    readonly pieces: readonly Piece[];
  },
): number {
  const sealing = seals === F_SEAL_SEAL ? 0 : seals & F_SEAL_EXEC ? MFD_NOEXEC_SEAL : MFD_ALLOW_SEALING;
  const fd = ownCall("memfd_create", Buffer.from(`${name}\0`), MFD_CLOEXEC | sealing);
  ftruncateSync(fd, sizeBytes);
  const { fileOffset = 0, lengthBytes = 0 } = from.content ?? {};
  for (let done = 0; done < lengthBytes; done += RUN_BYTES_MAX) {
    const bytes = readPadded(from.coreFd, Math.min(RUN_BYTES_MAX, lengthBytes - done), fileOffset + done);
    if (bytes.some((byte) => byte !== 0)) writeAll(fd, bytes, done);
  }
  writePieces(from.coreFd, { fd, sizeBytes }, from.pieces);
  if ((seals & F_SEAL_EXEC) === 0) fchmodSync(fd, mode & MODE_BITS);
  return fd;
}
