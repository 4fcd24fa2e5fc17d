/** Socket addresses in the user's words; pure. */
const AF_UNIX = 1;
const AF_INET = 2;

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
