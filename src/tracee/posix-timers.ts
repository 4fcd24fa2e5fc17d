/** POSIX timers as /proc/PID/timers lists them (proc_pid_timers(5)): what they do, not how much time is left. */

/** One block of the file. */
export interface ListedTimer {
  readonly id: number;
  readonly signal: number;
  /** sigev_value as the kernel prints it: a pointer. */
  readonly value: bigint;
  readonly notify: "signal" | "none" | "thread";
  /** The thread that is told (SIGEV_THREAD_ID); null when the process is. */
  readonly tid: number | null;
  /** clockid_t; negative for CPU clocks of a process or thread (clock_getcpuclockid(3)). */
  readonly clock: number;
}

const BLOCK =
  /^ID: (\d+)\nsignal: (\d+)\/([0-9a-f]+)\nnotify: (signal|none|thread)\/(pid|tid)\.(-?\d+)\nClockID: (-?\d+)$/gm;

/** Every timer, ascending by id. Throws RangeError when a line is not as the kernel writes it. */
export function parseTimers(text: string): ListedTimer[] {
  const timers = [...text.matchAll(BLOCK)].map((match): ListedTimer => {
    const [, id, signal, value, notify, whom, number, clock] = match;
    return {
      id: Number(id),
      signal: Number(signal),
      value: BigInt(`0x${value}`),
      notify: notify as ListedTimer["notify"],
      tid: whom === "tid" ? Number(number) : null,
      clock: Number(clock),
    };
  });
  const listed = text.split("\n").filter((line) => line.startsWith("ID: ")).length;
  if (timers.length !== listed) throw new RangeError(`/proc/PID/timers is malformed: ${text}`);
  return timers.sort((a, b) => a.id - b.id);
}
