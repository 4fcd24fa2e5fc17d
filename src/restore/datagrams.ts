/** Unread datagrams of UDP, sent again over loopback: by the socket of the program that has the sender's address, or for it. */

import { closeSync } from "node:fs";
import { CrError } from "../errors.js";
import { nowMs } from "../host/monotonic.js";
import type { FileDescription } from "../state/fd.js";
import type { ObjectOf } from "../state/kernel-object.js";
import { describeAddress, isEverywhere, toLoopback } from "../state/socket-address.js";
import { errnoName } from "../tracee/native.js";
import { ownCall, tryOwnCall } from "../tracee/own-call.js";
import { receivedMemory } from "../tracee/sockets.js";

const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;
/** Over loopback a message has arrived when it is sent, but for a detour over another CPU. */
const ARRIVAL_MS = 2000;

type Described = FileDescription & { readonly object: ObjectOf<"socket"> };

interface Delivery {
  readonly bytes: Buffer;
  /** struct sockaddr of the sender, in hexadecimal. */
  readonly from: string;
  /** The socket it is for, open as `fd`. */
  readonly to: Described;
  readonly fd: number;
  readonly sockets: readonly Described[];
  readonly made: ReadonlyMap<bigint, number>;
}

/** Sends one message and waits until it has arrived. RESTORE_FAILED where the sender's address is not to be had. */
export function deliver({ bytes, from, to, fd, sockets, made }: Delivery): void {
  const sender = sockets.find(({ object }) => sendsFrom(object, to.object, from));
  const known = sender && made.get(sender.ino);
  const temporary = known === undefined ? boundTo(from) : -1;
  try {
    const target = toLoopback(Buffer.from(to.object.local, "hex"));
    const before = receivedMemory(fd);
    const result = tryOwnCall(
      ...([
        "sendto",
        known ?? temporary,
        bytes,
        bytes.length,
        MSG_DONTWAIT_NOSIGNAL,
        target,
        target.length,
      ] as const),
    );
    if (result < 0) throw failed("send an unread message", from, errnoName(-result));
    const until = nowMs() + ARRIVAL_MS;
    while (receivedMemory(fd) === before) {
      if (nowMs() > until) throw failed("send an unread message", from, "it does not arrive");
    }
  } finally {
    if (temporary >= 0) closeSync(temporary);
  }
}

/** Whether what the socket sends has this address. */
function sendsFrom(object: ObjectOf<"socket">, to: ObjectOf<"socket">, from: string): boolean {
  if (object.family !== to.family || object.protocol !== to.protocol || object.local === "") return false;
  const local = Buffer.from(object.local, "hex");
  return object.local === from || (isEverywhere(local) && toLoopback(local).toString("hex") === from);
}

function boundTo(address: string): number {
  const bytes = Buffer.from(address, "hex");
  const fd = ownCall("socket", bytes.readUInt16LE(0), SOCK_DGRAM_CLOEXEC, 0);
  const result = tryOwnCall("bind", fd, bytes, bytes.length);
  if (result >= 0) return fd;
  closeSync(fd);
  throw failed("bind a socket for an unread message", address, errnoName(-result));
}

function failed(what: string, address: string, why: string): CrError {
  const where = describeAddress(Buffer.from(address, "hex"));
  return new CrError("RESTORE_FAILED", `cannot ${what} from ${where}: ${why}`, {
    hint: "end what uses the address (ss -lnp shows it), see that the loopback interface is up, and try again",
    data: { address: where },
  });
}
