/**
 * The notes every debugger knows, in the kernel's order: the first thread's status, the process, then the other
 * threads. Layouts of single notes have their own files; nothing here is Recore's own.
 */
import type { ProcessState } from "../state/process.js";
import type { ThreadState } from "../state/thread.js";
import { badCore } from "./byte-source.js";
import { encodeNote, type Note } from "./note.js";
import { decodeNtFile, encodeNtFile, type MappedFile, mappedFilesOf } from "./nt-file.js";
import { decodePrpsinfo, encodePrpsinfo, PRPSINFO_BYTES, type Prpsinfo } from "./prpsinfo.js";
import { decodePrstatus, encodePrstatus, PRSTATUS_BYTES, type Prstatus } from "./prstatus.js";

/** Note types of linux/elf.h. */
export const NT = {
  PRSTATUS: 1,
  FPREGSET: 2,
  PRPSINFO: 3,
  AUXV: 6,
  SIGINFO: 0x53494749,
  FILE: 0x46494c45,
  X86_XSTATE: 0x202,
} as const;

export const FPREGSET_BYTES = 512;
/** siginfo_t of sigaction(2). */
export const SIGINFO_BYTES = 128;

/** A thread as the standard notes have it; regsets that are not there are empty. */
export interface NotedThread {
  readonly status: Prstatus;
  readonly fpregs: Buffer;
  readonly xstate: Buffer;
}

export interface StandardNotes {
  readonly threads: readonly NotedThread[];
  readonly info: Prpsinfo | null;
  readonly auxv: Buffer | null;
  readonly files: readonly MappedFile[] | null;
  readonly siginfo: Buffer | null;
}

/** A process without its memory. */
type Described = Omit<ProcessState, "runs" | "delta">;

/** All standard notes of a process, encoded. */
export function encodeStandardNotes(state: Described): Buffer[] {
  const core = (type: number, desc: Buffer) => encodeNote({ owner: "CORE", type, desc });
  const about = [
    core(NT.PRPSINFO, encodePrpsinfo(infoOf(state))),
    core(NT.SIGINFO, state.siginfo ?? Buffer.alloc(SIGINFO_BYTES)),
    core(NT.AUXV, state.auxv),
    core(NT.FILE, encodeNtFile(mappedFilesOf(state.vmas))),
  ];
  return state.threads.flatMap((thread, index) => [
    core(NT.PRSTATUS, encodePrstatus(statusOf(thread, state))),
    ...(index === 0 ? about : []),
    core(NT.FPREGSET, thread.fpregs),
    ...(thread.xstate.length > 0
      ? [encodeNote({ owner: "LINUX", type: NT.X86_XSTATE, desc: thread.xstate })]
      : []),
  ]);
}

/** Reads the standard notes; per-thread ones belong to the NT_PRSTATUS before them. BAD_CORE on wrong sizes. */
export function decodeStandardNotes(notes: readonly Note[], path: string): StandardNotes {
  const threads: { status: Prstatus; fpregs: Buffer; xstate: Buffer }[] = [];
  const found: {
    info: Prpsinfo | null;
    auxv: Buffer | null;
    files: MappedFile[] | null;
    siginfo: Buffer | null;
  } = { info: null, auxv: null, files: null, siginfo: null };
  const sized = (name: string, desc: Buffer, bytes: number): Buffer => {
    if (desc.length === bytes) return desc;
    throw badCore(path, `the note ${name} has ${desc.length} bytes, ${bytes} are required`);
  };
  for (const { owner, type, desc } of notes) {
    const last = threads.at(-1);
    if (owner === "LINUX" && type === NT.X86_XSTATE && last) last.xstate = checkXstate(desc, path);
    if (owner !== "CORE") continue;
    if (type === NT.PRSTATUS) {
      const status = decodePrstatus(sized("NT_PRSTATUS", desc, PRSTATUS_BYTES));
      threads.push({ status, fpregs: Buffer.alloc(0), xstate: Buffer.alloc(0) });
    } else if (type === NT.FPREGSET && last) last.fpregs = sized("NT_FPREGSET", desc, FPREGSET_BYTES);
    else if (type === NT.PRPSINFO) found.info ??= decodePrpsinfo(sized("NT_PRPSINFO", desc, PRPSINFO_BYTES));
    else if (type === NT.AUXV) found.auxv ??= checkAuxv(desc, path);
    else if (type === NT.FILE) found.files ??= decodeNtFile(desc, path);
    else if (type === NT.SIGINFO) found.siginfo ??= signalIn(sized("NT_SIGINFO", desc, SIGINFO_BYTES));
  }
  return { threads, ...found };
}

function statusOf(thread: ThreadState, { process, siginfo, threads }: Described): Prstatus {
  return {
    tid: thread.tid,
    ppid: process.ppid,
    pgid: process.pgid,
    sid: process.sid,
    signal: siginfo !== null && thread === threads[0] ? siginfo.readInt32LE(0) : 0,
    sigpend: thread.pending.reduce((mask, info) => mask | (1n << BigInt(info.readInt32LE(0) - 1)), 0n),
    sighold: thread.sigmask,
    registers: thread.registers,
  };
}

function infoOf({ process, credentials, threads }: Described): Prpsinfo {
  const { pid, ppid, pgid, sid, comm, args } = process;
  const nice = threads[0]?.scheduling.nice ?? 0;
  return { nice, uid: credentials.uid.real, gid: credentials.gid.real, pid, ppid, pgid, sid, comm, args };
}

/** A program that goes on has no signal; its note is all zero. */
function signalIn(siginfo: Buffer): Buffer | null {
  return siginfo.readInt32LE(0) === 0 ? null : siginfo;
}

/** Legacy area of 512 and header of 64 bytes at least (Intel SDM volume 1, section 13.4). */
function checkXstate(desc: Buffer, path: string): Buffer {
  if (desc.length >= 576 && desc.length <= 1 << 20) return desc;
  throw badCore(path, `the note NT_X86_XSTATE has ${desc.length} bytes, at least 576 are required`);
}

function checkAuxv(desc: Buffer, path: string): Buffer {
  if (desc.length % 16 === 0) return desc;
  throw badCore(path, `the note NT_AUXV has ${desc.length} bytes, pairs of 8-byte words are required`);
}
