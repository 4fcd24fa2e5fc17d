/** What a caller may ask of a restore: what restore/restore.ts takes, the CPUs, and the kind of pid. */
import type { Apart } from "../restore/apart.js";
import type { RestoreOptions } from "../restore/restore.js";

export type RestoreOnOptions = Omit<RestoreOptions, "place" | "pid" | keyof Apart> & {
  /** Its own pid, any other, or its own in a pid namespace; left out: its own, by a namespace if it must be. */
  readonly pid?: "keep" | "new" | "ns" | undefined;
  /** The only CPUs the program may use; where it may run as recorded when left out. */
  readonly cpus?: readonly number[] | undefined;
  /** The core is open under this number, by which its path names it: whoever restores must have it, too. */
  readonly coreFd?: number | undefined;
};
