/** Socket addresses in the user's words; pure. */
const AF_UNIX = 1;
const AF_INET = 2;
/** 127.0.0.1 and ::1. */
const LOOPBACK_V4 = Buffer.from([127, 0, 0, 1]);
const LOOPBACK_V6 = Buffer.from([...Array(15).fill(0), 1]);

/** `0.0.0.0:80`, `[::]:80`, a path, or `@name` for an abstract one (ip(7), ipv6(7), unix(7)). */
export function describeAddress(address: Buffer): string {
  const family = address.length >= 2 ? address.readUInt16LE(0) : 0;
  if (family === AF_UNIX) {
    const name = address.subarray(2).toString("utf8");
    return name.startsWith("\0") ? `@${name.slice(1)}` : name.replace(/\0.*$/s, "");
  }
  if (address.length < 8) return "an unknown address";
  const port = address.readUInt16BE(2);
  if (family === AF_INET) return `${[...address.subarray(4, 8)].join(".")}:${port}`;
  const words = Array.from({ length: 8 }, (_, index) => address.readUInt16BE(8 + index * 2).toString(16));
  return `[${words.join(":")}]:${port}`;
}

/** The address itself, without family, port and scope. */
function hostOf(address: Buffer): Buffer {
  return address.readUInt16LE(0) === AF_INET ? address.subarray(4, 8) : address.subarray(8, 24);
}

/** True for an internet address that stands for all of the host. */
export function isEverywhere(address: Buffer): boolean {
  return hostOf(address).every((byte) => byte === 0);
}

/** True for an internet address that only this host has. */
export function isLoopback(address: Buffer): boolean {
  if (address.length < 8) return false;
  if (address.readUInt16LE(0) === AF_INET) return address[4] === LOOPBACK_V4[0];
  return hostOf(address).equals(LOOPBACK_V6);
}

/** Where a socket with this address is reached from within the host. */
export function toLoopback(address: Buffer): Buffer {
  const reached = Buffer.from(address);
  if (!isEverywhere(address)) return reached;
  if (address.readUInt16LE(0) === AF_INET) LOOPBACK_V4.copy(reached, 4);
  else LOOPBACK_V6.copy(reached, 8);
  return reached;
}
