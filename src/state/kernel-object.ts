/**
 * Kernel objects that only exist behind descriptors (pipes, counters, timers, watches, sockets), and what hangs on
 * an open file description besides its offset: owner for signals, locks.
 */
import { flag, int, natural, positive, text, u64, z } from "./schema.js";
import { tcpSchema } from "./tcp.js";

const pipe = () =>
  z.object({
    kind: z.literal("pipe"),
    /** F_GETPIPE_SZ of fcntl(2). */
    capacityBytes: positive,
  });
const eventfd = () => z.object({ kind: z.literal("eventfd"), count: u64, semaphore: flag });
const timerfd = () =>
  z.object({
    kind: z.literal("timerfd"),
    /** Clock of clock_gettime(2), flags of timerfd_settime(2). */
    clock: natural,
    flags: natural,
    /** Expirations that nobody has read. */
    ticks: u64,
    /** Time left and period in ns; both 0 when it is not armed. */
    valueNs: u64,
    intervalNs: u64,
    /** When it runs out, in ns since 1970: for absolute times of the wall clock only. */
    untilNs: z.nullable(u64),
  });
const signalfd = () => z.object({ kind: z.literal("signalfd"), mask: u64 });
const inotify = () =>
  z.object({
    kind: z.literal("inotify"),
    /** By rising watch descriptor; `mask` as of inotify_add_watch(2). */
    watches: z.array(z.object({ wd: positive, mask: int, path: text, dev: text, ino: u64 })),
  });
const memfd = () =>
  z.object({
    kind: z.literal("memfd"),
    name: text,
    /** F_GET_SEALS of fcntl(2). */
    seals: natural,
  });
const queue = () =>
  z.object({
    kind: z.literal("queue"),
    /** How many messages a POSIX message queue takes, and of how many bytes (mq_getattr(3)); it is empty. */
    maxMessages: positive,
    messageBytes: positive,
  });
const pty = () =>
  z.object({
    kind: z.literal("pty"),
    /** N of /dev/pts/N, and which end it is. */
    index: natural,
    end: z.enum(["master", "slave"]),
    /** struct termios2 and struct winsize of the pair, in hexadecimal. */
    termios: text.check(z.regex(/^[0-9a-f]{88}$/)),
    window: text.check(z.regex(/^[0-9a-f]{16}$/)),
    /** TIOCPKT and TIOCSPTLCK of the pair; TIOCEXCL of this end (ioctl_tty(2)). */
    packet: flag,
    locked: flag,
    exclusive: flag,
    /** Only the master was open, and a slave had been: reading it ends. */
    hungUp: z._default(flag, false),
  });
/** A message that waits in a socket, or a part of a stream that descriptors came with. */
export const messageSchema = z.object({
  bytes: natural,
  /** struct sockaddr of its sender, in hexadecimal; empty without a name. */
  from: text,
  /** `id`s of the descriptions that are on their way in it (SCM_RIGHTS of unix(7)). */
  passed: z.readonly(z.array(natural)),
});
export type Message = z.infer<typeof messageSchema>;

const socket = () =>
  z.object({
    kind: z.literal("socket"),
    /** As of socket(2). */
    family: int,
    type: int,
    protocol: int,
    /** Inode of the other end of a pair, null when there is none. */
    peer: z.nullable(u64),
    /** It was one end of a pair and the other has been closed. */
    peerClosed: z._default(flag, false),
    /** The other end was closed with unread bytes: the next call gets ECONNRESET. */
    peerReset: z._default(flag, false),
    /** User and group that SO_PEERCRED tells (unix(7)); null where it tells none, and in older cores. */
    peerUser: z._default(z.nullable(z.object({ uid: natural, gid: natural })), null),
    /** It waits to be accepted: by which socket (inode), and in which place. */
    pending: z._default(z.nullable(z.object({ listener: u64, place: natural })), null),
    /** Ends that are shut down (shutdown(2)): 1 reading, 2 writing. */
    shutdown: int.check(z.minimum(0), z.maximum(3)),
    /** struct sockaddr it is bound and connected to, in hexadecimal; empty when it is not. */
    local: text,
    remote: text,
    /** The file a unix socket is bound to. */
    file: z.nullable(z.object({ path: text, ino: u64, mode: int, uid: int, gid: int })),
    /** Length of the queue of a listening socket, null when it does not listen. */
    backlog: z.nullable(int),
    /** Options of setsockopt(2) that differ from those of a new socket; the value in hexadecimal. */
    options: z.array(z.object({ level: int, name: int, value: text })),
    /** Of a TCP connection; null for what is none. */
    tcp: z._default(z.nullable(tcpSchema), null),
    /** What the content is, in order; null for one message or the bytes of a stream. */
    queue: z._default(z.nullable(z.readonly(z.array(messageSchema))), null),
  });

/** Made when the first is there: most programs have none. */
export const kernelObjectSchema = z.lazy(() =>
  z.discriminatedUnion("kind", [
    pipe(),
    eventfd(),
    timerfd(),
    signalfd(),
    inotify(),
    memfd(),
    queue(),
    pty(),
    socket(),
  ]),
);
export type KernelObject = z.infer<typeof kernelObjectSchema>;
export type ObjectOf<K extends KernelObject["kind"]> = Extract<KernelObject, { kind: K }>;

/** Who gets signals of a descriptor: struct f_owner_ex of F_SETOWN_EX, and F_SETSIG. */
export const ownerSchema = z.object({ type: int, id: int, signal: int });
export type Owner = z.infer<typeof ownerSchema>;

/** A lock held through an open file description (flock(2), fcntl(2)). */
export const lockSchema = z.object({
  how: z.enum(["posix", "ofd", "flock", "lease"]),
  type: z.enum(["read", "write"]),
  /** First byte, and the one behind the last: null for the end of the file. */
  start: u64,
  end: z.nullable(u64),
});
export type Lock = z.infer<typeof lockSchema>;
