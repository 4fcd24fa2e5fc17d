/**
 * What `cr inspect` tells of a core, as plain data: the object of --json, and what the text is made from. Keys
 * are stable.
 */
import { NOTE_NAMES } from "../core/note-names.js";
import { readState } from "../core/read-state.js";
import type { CoreFile } from "../core/reader.js";
import type { CrError } from "../errors.js";
import type { Delta } from "../state/delta.js";
import type { PageRun } from "../state/pages.js";
import { getRegister, REGISTER_NAMES } from "../state/registers.js";
import type { ThreadState } from "../state/thread.js";
import type { Vma } from "../state/vma.js";

export type CoreSummary = ReturnType<typeof summarize>;
export type MapSummary = CoreSummary["maps"][number];

/** Summarises a core; what a restart would refuse in a core of another tool becomes the list `missing`. */
export function summarize(core: CoreFile) {
  const missing: { code: string; message: string }[] = [];
  const onMissing = ({ code, message }: CrError) => missing.push({ code, message });
  const state = readState(core, { onMissing });
  const { process, host, files, signals, timers, limits, credentials, softErrors } = state;
  return {
    core: core.path,
    origin: core.origin,
    sizeBytes: core.fileBytes,
    /** Size of the plain core that `cr export` writes; null for one that is plain. */
    plainBytes: core.pages.frames === null ? null : core.sizeBytes,
    diskBytes: core.diskBytes,
    /** What it builds on, the parent first; null for a whole core. */
    delta: summarizeDelta(state.delta),
    takenMs: host.takenMs,
    host,
    process,
    credentials,
    signal: state.siginfo === null ? null : state.siginfo.readInt32LE(0),
    threads: state.threads.map(summarizeThread),
    maps: summarizeMaps(state.vmas, state.runs),
    memory: state.mm,
    notes: core.notes.map(({ owner, type, desc }) => ({
      owner,
      type,
      name: NOTE_NAMES[owner]?.[type] ?? null,
      sizeBytes: desc.length,
    })),
    files,
    signals: { actions: signals.actions, pending: signals.pending.map((info) => info.readInt32LE(0)) },
    timers: timers.itimers,
    posixTimers: timers.posix,
    limits,
    missing,
    softErrors,
  };
}

function summarizeDelta(delta: Delta | undefined) {
  if (delta === undefined) return null;
  const inheritedBytes = delta.inherited.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  return { ancestors: delta.ancestors, inheritedBytes };
}

function summarizeThread({
  tid,
  comm,
  registers,
  sigmask,
  pending,
  altStack,
  rseq,
  scheduling,
  affinity,
}: ThreadState) {
  return {
    tid,
    comm,
    registers: Object.fromEntries(REGISTER_NAMES.map((name) => [name, getRegister(registers, name)])),
    sigmask,
    pending: pending.map((info) => info.readInt32LE(0)),
    altStack,
    rseq,
    scheduling,
    affinity,
  };
}

/** Runs are in order and each in one mapping, so one pass over both is enough. */
function summarizeMaps(vmas: readonly Vma[], runs: readonly PageRun[]) {
  let next = 0;
  return vmas.map(({ start, end, prot, kind, path, deleted, offset, flags, file }) => {
    const stored: { address: bigint; lengthBytes: number }[] = [];
    for (let run = runs[next]; run !== undefined && run.address < end; run = runs[next]) {
      stored.push({ address: run.address, lengthBytes: run.lengthBytes });
      next += 1;
    }
    const storedBytes = stored.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    const buildId = file?.buildId ?? null;
    const sizeBytes = Number(end - start);
    return { start, end, prot, kind, path, deleted, offset, flags, buildId, sizeBytes, storedBytes, stored };
  });
}
