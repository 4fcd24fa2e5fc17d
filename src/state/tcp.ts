/**
 * A TCP connection: which end outside or inside the checkpoint it leads to, how many bytes were on their way, and what
 * its kernel must know to go on under the same numbers (tcp(7), TCP_REPAIR).
 */
import { flag, int, natural, positive, text, u64, z } from "./schema.js";

/** Everything but the bytes; sequence numbers are those behind the last byte, received or sent. */
const numbers = () =>
  z.object({
    receiveSeq: natural,
    sendSeq: natural,
    /** Largest segment in bytes that the peer takes. */
    mss: positive,
    /** Shifts of the windows, null where scaling was not agreed upon. */
    scales: z.nullable(z.object({ send: int, receive: int })),
    selectiveAcks: flag,
    /** The value of the next timestamp, null where they were not agreed upon. */
    timestamp: z.nullable(int),
    /** struct tcp_repair_window: snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup. */
    window: z.array(int).check(z.length(5)),
  });

export const tcpSchema = z.lazy(() =>
  z.object({
    /** Inode of the other end, null when it is outside the checkpoint. */
    peer: z.nullable(u64),
    /** The other end in words, for messages. */
    far: text,
    /** `close`: the program is to see that the connection is gone. */
    policy: z.enum(["keep", "close"]),
    /** The content is what was received and not read, then what was sent and not acknowledged; its last were never sent. */
    receivedBytes: natural,
    sentBytes: natural,
    unsentBytes: natural,
    /** SO_SNDBUF and SO_RCVBUF as the kernel tells them, and SO_BUF_LOCK. */
    buffers: z.object({ send: int, receive: int, locks: int }),
    /** Of a connection to the outside whose program was killed: how to go on. */
    kept: z.nullable(
      z.extend(numbers(), {
        /** Who holds its packets back, until when (ms since 1970), in which network namespace (inode). */
        hold: z.object({
          name: text.check(z.regex(/^recore-[0-9a-f]{32}$/)),
          untilMs: z.number(),
          net: u64,
        }),
      }),
    ),
  }),
);
export type Tcp = z.infer<typeof tcpSchema>;
export type TcpNumbers = z.infer<ReturnType<typeof numbers>>;
export type Kept = NonNullable<Tcp["kept"]>;

/** What becomes of connections to the outside. */
export type TcpPolicy = "keep" | "close" | "refuse";
