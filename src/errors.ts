/**
 * Errors a user can meet. Codes are stable within a major version, messages are not. A message says what was
 * being done, the state found and the state required; the hint is one next step, checked against this host.
 * A wrong call by a programmer is a TypeError or RangeError, without code.
 */
import type { ERROR_TABLE } from "./error-table.js";

export type ErrorCode = keyof typeof ERROR_TABLE;

export interface CrErrorOptions {
  /** What to do next, one sentence. */
  readonly hint?: string;
  /** The lower error, for --json and debugging; never shown as a stack trace. */
  readonly cause?: unknown;
  /** Machine-readable facts for --json. */
  readonly data?: Readonly<Record<string, unknown>>;
}

/** The one error class of Recore: a code of the table, a message, a next step. */
export class CrError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly data: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, options: CrErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "CrError";
    this.code = code;
    this.hint = options.hint;
    this.data = options.data;
  }
}

/** True for a failed system call as Node reports it (`ENOENT`, `EACCES`, …). */
export function isErrno(error: unknown, ...names: string[]): error is NodeJS.ErrnoException {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return error instanceof Error && typeof code === "string" && names.includes(code);
}

/** The error a user is told: the one that came first, and INTERNAL for whatever is no CrError, since it is a defect. */
export function knownError(error: unknown): CrError {
  const first = firstError(error);
  if (first instanceof CrError) return first;
  const detail = first instanceof Error ? first.message : String(first);
  return new CrError("INTERNAL", `unexpected failure: ${detail}`, {
    hint: "run again with CR_DEBUG=1 and report what it prints",
    cause: first,
  });
}

/** With `using`, an error while things are given back hides the one that came before it. */
function firstError(error: unknown): unknown {
  const isSuppressed = error instanceof Error && error.name === "SuppressedError" && "suppressed" in error;
  return isSuppressed ? firstError(error.suppressed) : error;
}
