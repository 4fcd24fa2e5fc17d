/** What fdinfo tells about kernel objects behind descriptors (proc_pid_fdinfo(5)); pure. */

export interface EpollWatch {
  readonly fd: number;
  readonly events: number;
  readonly data: bigint;
  /** Inode of the file that is watched: the descriptor's number may be another's by now. */
  readonly ino: bigint;
}

const WATCH = /^tfd:\s*(\d+) events:\s*([0-9a-f]+) data:\s*([0-9a-f]+)\s+pos:\S+ ino:([0-9a-f]+)/gm;

/** `tfd:` lines of an epoll instance. */
export function epollWatches(info: string): EpollWatch[] {
  return [...info.matchAll(WATCH)].map(([, fd, events, data, ino]) => ({
    fd: Number(fd),
    events: Number.parseInt(events ?? "0", 16),
    data: BigInt(`0x${data}`),
    ino: BigInt(`0x${ino}`),
  }));
}

/** Counter of an eventfd, and whether a read takes one of it (EFD_SEMAPHORE). */
export function eventfdInfo(info: string): { readonly count: bigint; readonly semaphore: boolean } {
  const count = BigInt(`0x${value(info, "eventfd-count")}`);
  return { count, semaphore: /^eventfd-semaphore:\s*1/m.test(info) };
}

export interface TimerfdInfo {
  /** Clock of clock_gettime(2). */
  readonly clock: number;
  /** Flags of timerfd_settime(2). */
  readonly flags: number;
  /** Expirations that nobody has read. */
  readonly ticks: bigint;
  /** Time left and period in ns. */
  readonly valueNs: bigint;
  readonly intervalNs: bigint;
}

/** Clock, time and unread expirations of a timerfd. */
export function timerfdInfo(info: string): TimerfdInfo {
  return {
    clock: Number(value(info, "clockid")),
    flags: Number.parseInt(value(info, "settime flags"), 8),
    ticks: BigInt(value(info, "ticks")),
    valueNs: nanoseconds(info, "it_value"),
    intervalNs: nanoseconds(info, "it_interval"),
  };
}

/** The set of signals of a signalfd: bit N-1 for signal N. */
export function signalfdMask(info: string): bigint {
  return BigInt(`0x${value(info, "sigmask")}`);
}

export interface InotifyWatch {
  readonly wd: number;
  readonly ino: bigint;
  /** `major:minor`. */
  readonly dev: string;
  readonly mask: number;
  /** Type and bytes of the file's handle (open_by_handle_at(2)). */
  readonly handleType: number;
  readonly handle: Buffer;
}

const INOTIFY =
  /^inotify wd:([0-9a-f]+) ino:([0-9a-f]+) sdev:([0-9a-f]+) mask:([0-9a-f]+) .*?fhandle-type:([0-9a-f]+) f_handle:([0-9a-f]+)/gm;
const MINOR_BITS = 20;

/** `inotify` lines; all numbers in them are hexadecimal. */
export function inotifyWatches(info: string): InotifyWatch[] {
  const watches = [...info.matchAll(INOTIFY)].map(
    ([, wd = "", ino = "", sdev = "", mask = "", type = "", handle = ""]) => {
      const device = Number.parseInt(sdev, 16);
      return {
        wd: Number.parseInt(wd, 16),
        ino: BigInt(`0x${ino}`),
        dev: `${device >>> MINOR_BITS}:${device & ((1 << MINOR_BITS) - 1)}`,
        mask: Number.parseInt(mask, 16),
        handleType: Number.parseInt(type, 16),
        handle: Buffer.from(handle, "hex"),
      };
    },
  );
  return watches.sort((a, b) => a.wd - b.wd);
}

export interface LockInfo {
  readonly how: "posix" | "ofd" | "flock" | "lease" | "other";
  readonly type: "read" | "write" | "other";
  /** First byte and first byte behind; null to the end of the file. */
  readonly start: bigint;
  readonly end: bigint | null;
}

const LOCK = /^lock:\s*\d+: (\w+)\s+(\w+)\s+(\w+)\s+\S+\s+\S+\s+(\d+) (\d+|EOF)/gm;
const HOW: Readonly<Record<string, LockInfo["how"]>> = {
  POSIX: "posix",
  OFDLCK: "ofd",
  FLOCK: "flock",
  LEASE: "lease",
};

/** `lock:` lines; a lease that is being broken is `other`. */
export function locksOf(info: string): LockInfo[] {
  return [...info.matchAll(LOCK)].map(([, how = "", state, type, start = "0", end = "EOF"]) => ({
    how: state === "BREAKING" || state === "BREAKER" ? "other" : (HOW[how] ?? "other"),
    type: type === "READ" ? "read" : type === "WRITE" ? "write" : "other",
    start: BigInt(start),
    end: end === "EOF" ? null : BigInt(end) + 1n,
  }));
}

/** Messages with descriptors in flight to a unix socket (`scm_fds:`). */
export function passedDescriptors(info: string): number {
  return Number(value(info, "scm_fds"));
}

function value(info: string, key: string): string {
  return new RegExp(`^${key}:\\s*(\\S+)`, "m").exec(info)?.[1] ?? "0";
}

function nanoseconds(info: string, key: string): bigint {
  const [, seconds = "0", rest = "0"] = new RegExp(`^${key}: \\((\\d+), (\\d+)\\)`, "m").exec(info) ?? [];
  return BigInt(seconds) * 1_000_000_000n + BigInt(rest);
}

/** N of /dev/pts/N, of a master's descriptor (`tty-index:`); -1 where the kernel does not tell. */
export function ttyIndex(info: string): number {
  return Number(/^tty-index:\s*(\d+)$/m.exec(info)?.[1] ?? -1);
}
