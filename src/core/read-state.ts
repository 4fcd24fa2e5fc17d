/** ProcessState from any core, ours or another tool's. */
import type { ProcessState } from "../state/process.js";
import { decodeForeign, type ForeignOptions } from "./foreign.js";
import { decodeState } from "./own-state.js";
import type { CoreFile } from "./reader.js";

/**
 * The process in a core. Throws BAD_CORE, FORMAT_VERSION, and FOREIGN_CORE (another tool's core that lacks what a
 * restart needs, unless `onMissing` takes it).
 */
export function readState(core: CoreFile, options: ForeignOptions = {}): ProcessState {
  return core.origin === "recore" ? decodeState(core) : decodeForeign(core, options);
}
