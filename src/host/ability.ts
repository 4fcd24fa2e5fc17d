/** One thing that `cr` can do on this host, or cannot: what `cr doctor` prints a line for. */

export interface Ability {
  readonly name: string;
  /** `no`: own processes cannot be checkpointed or restored without it. `warn`: something less is missing. */
  readonly state: "ok" | "warn" | "no";
  readonly found: string;
  /** What works with it. */
  readonly buys: string;
  /** The next command, when the state is not `ok`. */
  readonly next?: string;
}
