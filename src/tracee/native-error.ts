/** Tells failures of the native library apart by the errno's name. */
import { NativeError } from "./native.js";

/** True for a native error of one of these names; of any when none is given. */
export function isNativeError(error: unknown, ...names: string[]): error is NativeError {
  return error instanceof NativeError && (names.length === 0 || names.includes(error.errno));
}
