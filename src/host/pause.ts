/** Waiting without letting anything else run: where one synchronous thread has a process in its hands. */

/** Sleeps for so many ms. */
export function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
