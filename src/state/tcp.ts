/**
 * A TCP connection: which end outside or inside the checkpoint it leads to, how many bytes were on their way, and what
 * its kernel must know to go on under the same numbers (tcp(7), TCP_REPAIR).
 */
import { u64, z } from "./schema.js";

/** Everything but the bytes; sequence numbers are those behind the last byte, received or sent. */
const numbers = z.object({
  receiveSeq: z.int().nonnegative(),
  sendSeq: z.int().nonnegative(),
  /** Largest segment in bytes that the peer takes. */
  mss: z.int().positive(),
  /** Shifts of the windows, null where scaling was not agreed upon. */
  scales: z.object({ send: z.int(), receive: z.int() }).nullable(),
  selectiveAcks: z.boolean(),
  /** The value of the next timestamp, null where they were not agreed upon. */
  timestamp: z.int().nullable(),
  /** struct tcp_repair_window: snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup. */
  window: z.array(z.int()).length(5),
});

export const tcpSchema = z.object({
  /** Inode of the other end, null when it is outside the checkpoint. */
  peer: u64.nullable(),
  /** The other end in words, for messages. */
  far: z.string(),
  /** `close`: the program is to see that the connection is gone. */
  policy: z.enum(["keep", "close"]),
  /** The content is what was received and not read, then what was sent and not acknowledged; its last were never sent. */
  receivedBytes: z.int().nonnegative(),
  sentBytes: z.int().nonnegative(),
  unsentBytes: z.int().nonnegative(),
  /** SO_SNDBUF and SO_RCVBUF as the kernel tells them, and SO_BUF_LOCK. */
  buffers: z.object({ send: z.int(), receive: z.int(), locks: z.int() }),
  /** Of a connection to the outside whose program was killed: how to go on. */
  kept: numbers
    .extend({
      /** Who holds its packets back, until when (ms since 1970), in which network namespace (inode). */
      hold: z.object({ name: z.string().regex(/^recore-[0-9a-f]{32}$/), untilMs: z.number(), net: u64 }),
    })
    .nullable(),
});
export type Tcp = z.infer<typeof tcpSchema>;
export type TcpNumbers = z.infer<typeof numbers>;
export type Kept = NonNullable<Tcp["kept"]>;

/** What becomes of connections to the outside. */
export type TcpPolicy = "keep" | "close" | "refuse";
