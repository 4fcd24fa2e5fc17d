/**
 * Whether pipes and sockets of a process lead out of it: who else holds them. Searching all processes takes
 * milliseconds, so what was found before the stop is remembered; a holder that comes later must be a child or be given
 * the descriptor by the program itself.
 */
import { type Holder, holdersOf } from "../host/descriptor-holders.js";

export class FarEnds {
  readonly #known = new Map<string, Holder | null>();

  /** Another holder of each of these links (of /proc/PID/fd). */
  look(pid: number, links: readonly string[]): void {
    const unknown = new Set(links.filter((link) => !this.#known.has(link)));
    const found = holdersOf(unknown, [pid, process.pid]);
    for (const link of unknown) this.#known.set(link, found.get(link) ?? null);
  }

  /** Null when nobody else was seen with it. */
  holder(link: string): Holder | null {
    return this.#known.get(link) ?? null;
  }
}
