/**
 * ProcessState from a core of ours: the nouns of the RECORE notes, joined with the regsets and the auxiliary
 * vector of the standard ones.
 */
import type { ProcessState } from "../state/process.js";
import type { ThreadNote, ThreadState } from "../state/thread.js";
import { badCore } from "./byte-source.js";
import { checkConsistency } from "./consistency.js";
import { checkDelta } from "./delta-rules.js";
import { tailOffsetOf } from "./header-checksum.js";
import type { CoreFile } from "./reader.js";
import { decodeDeltaNote, decodeRecoreNotes } from "./recore-decode.js";
import { decodeStandardNotes, FPREGSET_BYTES, type NotedThread } from "./standard-notes.js";

/**
 * The process in a core that Recore wrote. Throws BAD_CORE naming the note or the contradiction, FORMAT_VERSION
 * for one of a format this version does not know.
 */
export function decodeState(core: CoreFile): ProcessState {
  const { path, segments } = core;
  const own = decodeRecoreNotes(core.notes, path);
  const standard = decodeStandardNotes(core.notes, path);
  if (standard.auxv === null) throw badCore(path, "the note NT_AUXV is missing");
  const delta = decodeDeltaNote(core.notes, path);
  const state: ProcessState = {
    process: own.PROCESS,
    host: own.HOST,
    threads: joinThreads(own.THREADS, standard.threads, path),
    mm: own.MM,
    auxv: standard.auxv,
    vmas: own.VMAS,
    signals: own.SIGNALS,
    timers: own.TIMERS,
    files: own.FILES,
    limits: own.LIMITS,
    credentials: own.CREDENTIALS,
    runs: own.PAGES.runs,
    softErrors: own.SOFT,
    siginfo: standard.siginfo,
    ...(delta !== undefined && { delta }),
  };
  checkConsistency(state, { path, segments, tailOffset: tailOffsetOf(path, segments) });
  checkDelta(state, path);
  return state;
}

function joinThreads(own: readonly ThreadNote[], noted: readonly NotedThread[], path: string): ThreadState[] {
  if (own.length === 0 || own.length !== noted.length) {
    throw badCore(
      path,
      `it has ${own.length} threads in RECORE/THREADS and ${noted.length} in NT_PRSTATUS, the same number is required`,
    );
  }
  return own.map((note, index) => {
    const thread = noted[index];
    if (thread?.status.tid !== note.tid || thread.fpregs.length !== FPREGSET_BYTES) {
      throw badCore(path, `the standard notes of thread ${note.tid} are missing or out of order`);
    }
    const { status, fpregs, xstate } = thread;
    return { ...note, registers: status.registers, fpregs, xstate };
  });
}
