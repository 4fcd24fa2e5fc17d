/**
 * Turns points in time into runs of one action: runs never overlap, and however many came due while one was
 * running, exactly one is made up for afterwards. Knows no clock; schedule.ts calls `due`.
 */
export interface Ticker {
  /** A tick came due: runs the action now, or once more after the run under way. */
  due(): void;
  /** Takes no more ticks and waits for the run under way. */
  stop(): Promise<void>;
}

/** A ticker for `action`, which must not reject: it reports its own failures. */
export function makeTicker(action: () => Promise<void>): Ticker {
  let running: Promise<void> | undefined;
  let missed = false;
  let stopped = false;

  const run = async (): Promise<void> => {
    do {
      missed = false;
      await action();
    } while (missed && !stopped);
    running = undefined;
  };
  return {
    due() {
      if (stopped) return;
      if (running === undefined) running = run();
      else missed = true;
    },
    async stop() {
      stopped = true;
      await running;
    },
  };
}
