/** The CrError that a call throws; any other exception, or none, is a failure of the test. */
import { CrError } from "../../src/errors.js";

export function errorOf(call: () => unknown): CrError {
  try {
    call();
  } catch (error) {
    if (error instanceof CrError) return error;
    throw error;
  }
  throw new Error("no error was thrown");
}
