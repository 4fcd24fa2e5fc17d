/**
 * What happened to a regular file since the checkpoint, and what `--files rollback` or `keep` makes of it. Pure:
 * takes what was recorded and what is found, opens and changes nothing.
 */
import { constants } from "node:fs";
import type { FileUser } from "../host/file-users.js";
import type { FileDescription } from "../state/fd.js";
import { type FoundFile, isSameTime } from "./file-look.js";

export type FilesPolicy = "rollback" | "keep";

export interface FileContext {
  /** Device numbers of file systems are only comparable within one boot. */
  readonly sameBoot: boolean;
  /** Live processes, other than cr, that can write to the file. */
  readonly writers: readonly FileUser[];
  /** All of it was mapped shared and writable, so that its content is in the core and is put back. */
  readonly contentInCore: boolean;
}

/** Everything that differs, in sentences that begin with what the file did or is. */
export interface FileChanges {
  /** What a rollback cannot make undone. */
  readonly refusals: readonly string[];
  /** What the program has to live with either way. */
  readonly remarks: readonly string[];
  /** The file only grew under a writer: rollback cuts it to this length. */
  readonly cutToBytes: bigint | null;
}

/** True when the description allows writing. */
export function isWritable({ flags }: FileDescription): boolean {
  return (flags & (constants.O_WRONLY | constants.O_RDWR)) !== 0;
}

/** True when it is the recorded file, not another one under its name. */
export function isSameFile(recorded: FileDescription, found: FoundFile, sameBoot: boolean): boolean {
  return recorded.ino === found.ino && (!sameBoot || recorded.dev === found.dev);
}

/**
 * Compares one file with what was recorded. `recorded` are all descriptions of that file: one that writes makes
 * it a file of the program's, others are windows on it.
 */
export function findFileChanges(
  recorded: readonly FileDescription[],
  found: FoundFile,
  context: FileContext,
): FileChanges {
  const none = { refusals: [], remarks: [], cutToBytes: null };
  const [first] = recorded;
  if (first === undefined) return none;
  if (!isSameFile(first, found, context.sameBoot)) {
    return { ...none, refusals: [`was replaced (inode ${found.ino}, it was ${first.ino})`] };
  }
  const writers = recorded.filter(isWritable);
  const wasBytes = BigInt(first.sizeBytes);
  const refusals: string[] = [];
  if (writers.length > 0) refusals.push(...context.writers.map(describeUser));
  if (found.sizeBytes < wasBytes) refusals.push(`shrank from ${wasBytes} to ${found.sizeBytes} bytes`);
  if (found.sizeBytes > wasBytes) {
    if (writers.length === 0) {
      return { ...none, remarks: [`grew from ${wasBytes} to ${found.sizeBytes} bytes`] };
    }
    return { refusals, remarks: doubtAboutGrowth(writers, wasBytes), cutToBytes: wasBytes };
  }
  if (found.sizeBytes === wasBytes && !isSameTime(found.mtimeNs, first.mtimeNs) && !context.contentInCore) {
    const what = "was written to in place since the checkpoint (same length, other modification time)";
    if (writers.length === 0) return { ...none, remarks: [what] };
    refusals.push(`${what}, and its earlier content is not in the core`);
  }
  return { refusals, remarks: [], cutToBytes: null };
}

/** Growth proves nothing about the bytes before, unless every writer could only append. */
function doubtAboutGrowth(writers: readonly FileDescription[], wasBytes: bigint): string[] {
  const insideOf = writers.find(
    ({ flags, position }) => (flags & constants.O_APPEND) === 0 && position < wasBytes,
  );
  if (insideOf === undefined) return [];
  return [
    `is cut back to ${wasBytes} bytes, but the program wrote at ${insideOf.position}, before its end: bytes from there on may have been overwritten since`,
  ];
}

function describeUser({ pid, comm, how }: FileUser): string {
  const what = how === "write" ? "has it open for writing" : "has it mapped for writing";
  return `is not the program's alone: process ${pid} (${comm}) ${what}`;
}
