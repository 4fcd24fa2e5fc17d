/**
 * Recore as a library: the operations of the command line, typed. A process is checkpointed into a core, a core is
 * read or restored, a program is watched. Every failure a user can meet is a `CrError` with a stable code.
 *
 * ptrace belongs to the thread that attached, so call these from one thread, best the main one.
 */
export { type CheckpointOptions, type CheckpointResult, checkpoint } from "./checkpoint/checkpoint.js";
export { Lineage } from "./checkpoint/lineage.js";
export { type Core, readCore } from "./core/read-core.js";
export type { CoreOrigin } from "./core/reader.js";
export { CrError, type ErrorCode } from "./errors.js";
export { type FdPlacement, parseFdPlacement } from "./restore/fd-placement.js";
export type { Foreground } from "./restore/foreground.js";
export type { Restored } from "./restore/restore.js";
export type { ProcessState } from "./state/process.js";
export type { SoftError } from "./state/soft-error.js";
export { mergeCore as merge } from "./supervise/merge.js";
export { restoreOn as restore } from "./supervise/restore-on.js";
export type { RestoreOnOptions as RestoreOptions } from "./supervise/restore-options.js";
export { cronSchedule, everySchedule } from "./supervise/schedule.js";
export { type WatchEvent, type WatchOptions, type WatchSummary, watch } from "./supervise/watch.js";
