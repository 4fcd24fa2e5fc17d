/** Sends a message with descriptors (SCM_RIGHTS of unix(7)) on a socket of cr's. */
import { writeMemory } from "./memory.js";
import { ownCall } from "./own-call.js";

const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;
/** struct msghdr, struct iovec and struct cmsghdr. */
const HEAD_BYTES = 56;
const PART_BYTES = 16;
const CONTROL_HEAD_BYTES = 16;
const FD_BYTES = 4;
const WORD_BYTES = 8;

/**
 * Bytes sent. The message is built at a known address of cr's, because its head points at its parts. Throws
 * `NativeError`: EAGAIN where it does not fit.
 */
export function sendMessage(
  fd: number,
  message: { readonly bytes: Buffer; readonly passed: readonly number[] },
): number {
  const { bytes, passed } = message;
  const controlBytes = CONTROL_HEAD_BYTES + passed.length * FD_BYTES;
  const controlAt = HEAD_BYTES + PART_BYTES;
  const bytesAt = controlAt + Math.ceil(controlBytes / WORD_BYTES) * WORD_BYTES;
  const whole = Buffer.alloc(bytesAt + bytes.length);
  const start = ownCall("mmap", 0, whole.length, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
  const word = (value: number, at: number) => whole.writeBigUInt64LE(BigInt(value), at);
  word(start + HEAD_BYTES, 16);
  word(1, 24);
  word(start + controlAt, 32);
  word(controlBytes, 40);
  word(start + bytesAt, HEAD_BYTES);
  word(bytes.length, HEAD_BYTES + 8);
  word(controlBytes, controlAt);
  whole.writeInt32LE(SOL_SOCKET, controlAt + 8);
  whole.writeInt32LE(SCM_RIGHTS, controlAt + 12);
  for (const [index, one] of passed.entries()) {
    whole.writeInt32LE(one, controlAt + CONTROL_HEAD_BYTES + index * FD_BYTES);
  }
  bytes.copy(whole, bytesAt);
  try {
    writeMemory(process.pid, BigInt(start), whole);
    return ownCall("sendmsg", fd, start, MSG_DONTWAIT_NOSIGNAL);
  } finally {
    ownCall("munmap", start, whole.length);
  }
}
