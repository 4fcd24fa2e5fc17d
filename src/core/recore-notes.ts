/**
 * Recore's own notes (owner RECORE), writing side: one type number a noun, a JSON body in an envelope that says
 * its format and whether a reader must know it. Free of schemas, because checkpoints load it; reading is
 * recore-decode.ts. The table is docs/core-format.md.
 */
import type { Delta, InheritedRun } from "../state/delta.js";
import { encodeNoteJson } from "../state/note-json.js";
import type { PageRun } from "../state/pages.js";
import type { ProcessState } from "../state/process.js";
import { RunTable } from "../state/run-table.js";
import type { ThreadNote, ThreadState } from "../state/thread.js";
import { encodeNote, noteDescOffset } from "./note.js";

export const RECORE_OWNER = "RECORE";

/** Major and minor version of the notes: a reader refuses another major, and ignores what a minor added. */
export const FORMAT = [1, 0] as const;
/** That of PAGES, and of DELTA where its runs stand in a table (state/run-table.ts). */
export const TABLE_FORMAT = [2, 0] as const;

/**
 * Type numbers, never reused: `RC` in the high half, because BFD (gdb, objdump) reads small numbers of any owner
 * as the standard core notes of that type.
 */
export const RECORE_NOTES = {
  HOST: 0x5243_0001,
  PROCESS: 0x5243_0002,
  THREADS: 0x5243_0003,
  MM: 0x5243_0004,
  VMAS: 0x5243_0005,
  SIGNALS: 0x5243_0006,
  TIMERS: 0x5243_0007,
  FILES: 0x5243_0008,
  LIMITS: 0x5243_0009,
  CREDENTIALS: 0x5243_000a,
  PAGES: 0x5243_000b,
  SOFT: 0x5243_000c,
  CHECKSUM: 0x5243_000d,
} as const;
/** Only in compressed cores, and read before all others (packed.ts). */
export const FRAMES_NOTE = 0x5243_0010;
/** Only in cores that hold what changed since another one (state/delta.ts): who does not know it must not read on. */
export const DELTA_NOTE = 0x5243_0012;
export type RecoreNoteName = keyof typeof RECORE_NOTES;

/** Notes that a reader may pass over. */
const OPTIONAL: ReadonlySet<RecoreNoteName> = new Set(["HOST", "SOFT", "CHECKSUM"]);

/** The digits of a checksum that is not known yet; they count as this when it is computed. */
export const NO_CHECKSUM = "00000000";

/** A process as a core tells it; a delta has its runs in tables already. */
export type WrittenState = Omit<ProcessState, "runs" | "delta"> & {
  readonly runs: readonly PageRun[] | RunTable;
  readonly delta?: Omit<Delta, "inherited"> & { readonly inherited: readonly InheritedRun[] | RunTable };
};

/** All notes of a process but CHECKSUM, encoded. */
export function encodeRecoreNotes(state: WrittenState): Buffer[] {
  return [
    encodeRecoreNote("HOST", state.host),
    encodeRecoreNote("PROCESS", state.process),
    encodeRecoreNote("THREADS", state.threads.map(noteOfThread)),
    encodeRecoreNote("MM", state.mm),
    encodeRecoreNote("VMAS", state.vmas),
    encodeRecoreNote("SIGNALS", state.signals),
    encodeRecoreNote("TIMERS", state.timers),
    encodeRecoreNote("FILES", state.files),
    encodeRecoreNote("LIMITS", state.limits),
    encodeRecoreNote("CREDENTIALS", state.credentials),
    encodePagesNote(state.runs),
    encodeRecoreNote("SOFT", state.softErrors),
    ...(state.delta === undefined ? [] : [encodeDeltaNote(state.delta)]),
  ];
}

function encodePagesNote(runs: WrittenState["runs"]): Buffer {
  const table = runs instanceof RunTable ? runs : bytesOf(runs);
  return encodeTableNote(RECORE_NOTES.PAGES, {}, table);
}

function encodeDeltaNote({ ancestors, inherited }: NonNullable<WrittenState["delta"]>): Buffer {
  if (inherited instanceof RunTable) return encodeTableNote(DELTA_NOTE, { ancestors }, inherited);
  const body = { ancestors, inherited: inherited.map(rowOfInherited) };
  const desc = encodeNoteJson({ format: FORMAT, required: true, body });
  return encodeNote({ owner: RECORE_OWNER, type: DELTA_NOTE, desc });
}

/** The table is put into the text that is ready: JSON would look through a million letters for what must not stand in a string. */
function encodeTableNote(type: number, body: object, table: RunTable): Buffer {
  const text = encodeNoteJson({ format: TABLE_FORMAT, required: true, body: { ...body, table: "" } });
  const end = '"}}'.length;
  const desc = [text.subarray(0, -end), table.encode().toString("base64"), text.subarray(-end)];
  return encodeNote({ owner: RECORE_OWNER, type, desc });
}

function rowOfInherited({ address, lengthBytes, ancestor, fileOffset, crc32c }: InheritedRun): unknown[] {
  return [address, lengthBytes, ancestor, fileOffset, crc32c];
}

/** The note CHECKSUM with eight digits to be filled in, and where in it they stand. */
export function encodeChecksumNote(): { bytes: Buffer; digitsAt: number } {
  const bytes = encodeRecoreNote("CHECKSUM", { crc32c: NO_CHECKSUM });
  return { bytes, digitsAt: bytes.indexOf(NO_CHECKSUM, noteDescOffset(RECORE_OWNER), "latin1") };
}

/** One note in its envelope. */
export function encodeRecoreNote(name: RecoreNoteName, body: unknown): Buffer {
  const desc = encodeNoteJson({ format: FORMAT, required: !OPTIONAL.has(name), body });
  return encodeNote({ owner: RECORE_OWNER, type: RECORE_NOTES[name], desc });
}

/** The regsets stand in the standard notes and are left out here. */
function noteOfThread({ registers, fpregs, xstate, ...note }: ThreadState): ThreadNote {
  return note;
}

function bytesOf(runs: readonly PageRun[]): RunTable {
  const table = new RunTable(runs.length);
  for (const { address, lengthBytes, fileOffset, crc32c, sameAsFile } of runs) {
    table.add(Number(address), { lengthBytes, fileOffset, crc32c, tag: sameAsFile ? 1 : 0 });
  }
  return table;
}
