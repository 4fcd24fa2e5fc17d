/** What a refused action said: for assertions on codes and messages. */
import { expect } from "vitest";
import { CrError } from "../../src/errors.js";

/** The CrError that `action` throws; fails when it throws none, or one without a next step. */
export function failure(action: () => unknown): CrError {
  try {
    action();
  } catch (error) {
    if (!(error instanceof CrError)) throw error;
    expect(error.message).not.toMatch(/\.$/);
    return error;
  }
  throw new Error("nothing was refused");
}

/** Its code alone. */
export function code(action: () => unknown): string {
  return failure(action).code;
}

/** `CODE: message`. */
export function message(action: () => unknown): string {
  const error = failure(action);
  return `${error.code}: ${error.message}`;
}
