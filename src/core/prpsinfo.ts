/**
 * NT_PRPSINFO (struct elf_prpsinfo, linux/elfcore.h): what ps shows of a process.
 *
 *   0 state sname zomb nice | 8 flag | 16 uid gid | 24 pid ppid pgrp sid | 40 fname (16) | 56 psargs (80) | 136
 */
export const PRPSINFO_BYTES = 136;

const FNAME = { at: 40, bytes: 16 };
const PSARGS = { at: 56, bytes: 80 };

export interface Prpsinfo {
  readonly nice: number;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  readonly ppid: number;
  readonly pgid: number;
  readonly sid: number;
  /** The command's name, at most 15 bytes; encoded one byte a character. */
  readonly comm: string;
  /** Start of the command line, at most 79 bytes, blanks between arguments. */
  readonly args: string;
}

/** The body of the note; names that are too long are cut. */
export function encodePrpsinfo(info: Prpsinfo): Buffer {
  const bytes = Buffer.alloc(PRPSINFO_BYTES);
  bytes.write("R", 1);
  bytes.writeInt8(info.nice, 3);
  bytes.writeUInt32LE(info.uid, 16);
  bytes.writeUInt32LE(info.gid, 20);
  bytes.writeInt32LE(info.pid, 24);
  bytes.writeInt32LE(info.ppid, 28);
  bytes.writeInt32LE(info.pgid, 32);
  bytes.writeInt32LE(info.sid, 36);
  bytes.write(info.comm, FNAME.at, FNAME.bytes - 1, "latin1");
  bytes.write(info.args, PSARGS.at, PSARGS.bytes - 1);
  return bytes;
}

/** `desc` must have PRPSINFO_BYTES bytes. */
export function decodePrpsinfo(desc: Buffer): Prpsinfo {
  return {
    nice: desc.readInt8(3),
    uid: desc.readUInt32LE(16),
    gid: desc.readUInt32LE(20),
    pid: desc.readInt32LE(24),
    ppid: desc.readInt32LE(28),
    pgid: desc.readInt32LE(32),
    sid: desc.readInt32LE(36),
    comm: readText(desc, FNAME),
    args: readText(desc, PSARGS).trimEnd(),
  };
}

function readText(desc: Buffer, { at, bytes }: { at: number; bytes: number }): string {
  const text = desc.subarray(at, at + bytes);
  const end = text.indexOf(0);
  return text.toString("utf8", 0, end < 0 ? bytes : end);
}
