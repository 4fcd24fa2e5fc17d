/** How far the bytes of a TCP connection have come, without repair mode: from the counters of struct tcp_info. */
import { ownCall } from "./own-call.js";
import { askOption } from "./socket-options.js";

const IPPROTO_TCP = 6;
const TCP_INFO = 11;
const INFO_BYTES = 192;
const AT = { acknowledged: 120, received: 128, unsent: 144 } as const;
const SIOCOUTQ = 0x5411;

export interface Progress {
  /** Bytes written, acknowledged or not; one more at the end that connected, for its SYN. */
  readonly written: bigint;
  readonly received: bigint;
  /** Bytes written that have not left yet. */
  readonly unsent: number;
}

/** Null when this kernel does not count (before 4.6). */
export function progressOf(fd: number): Progress | null {
  const info = askOption(fd, { level: IPPROTO_TCP, name: TCP_INFO, bytes: INFO_BYTES });
  if (info === null || info.length < AT.unsent + 4) return null;
  const waiting = Buffer.alloc(4);
  ownCall("ioctl", fd, SIOCOUTQ, waiting);
  return {
    written: info.readBigUInt64LE(AT.acknowledged) + BigInt(waiting.readInt32LE()),
    received: info.readBigUInt64LE(AT.received),
    unsent: info.readUInt32LE(AT.unsent),
  };
}

/**
 * Whether all that either end of a connection within this host has written has come to the other: an acknowledgement
 * may still be on its way, which takes up to 40 ms. When in doubt it has not.
 */
export function hasArrived(one: Progress | null | undefined, other: Progress | null | undefined): boolean {
  if (one === null || one === undefined || other === null || other === undefined) return false;
  // Only a full receiver keeps bytes from leaving here; of those that left only the SYN is never received.
  const missing = one.written - other.received + other.written - one.received;
  return one.unsent === 0 && other.unsent === 0 && missing >= 0n && missing <= 1n;
}
