/** The network of a namespace that is connected with nothing (network_namespaces(7)): its loopback interface. */
import { closeSync, readFileSync } from "node:fs";
import { isErrno } from "../errors.js";
import { ownCall } from "./own-call.js";

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
/** struct ifreq: 16 bytes of name, then the flags. */
const IFREQ_BYTES = 40;
const FLAGS_AT = 16;
/** The one that tunnel modules put into every namespace. */
const FALLBACKS = /^(sit0|tunl0|ip6tnl0|ip_vti0|ip6_vti0|gre0|gretap0|erspan0|ip6gre0)$/;
const LOOPBACK_V6 = "00000000000000000000000000000001";

/** Whether an interface of the namespace that we are in is up. */
export function isUp(name: string): boolean {
  return (flags(name, SIOCGIFFLAGS, 0) & IFF_UP) !== 0;
}

/** Sets the loopback interface of the namespace that we are in up; it begins down. A `NativeError`. */
export function putLoopbackUp(): void {
  flags("lo", SIOCSIFFLAGS, flags("lo", SIOCGIFFLAGS, 0) | IFF_UP);
}

function flags(name: string, request: number, value: number): number {
  const fd = ownCall("socket", AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  const ifreq = Buffer.alloc(IFREQ_BYTES);
  ifreq.write(name, "latin1");
  ifreq.writeUInt16LE(value, FLAGS_AT);
  try {
    ownCall("ioctl", fd, request, ifreq);
  } finally {
    closeSync(fd);
  }
  return ifreq.readUInt16LE(FLAGS_AT);
}

/** What makes the network of a process more than a loopback interface: interfaces, addresses and routes, by name. */
export function connectionsOf(pid: number): string[] {
  const file = (name: string) => textOf(`/proc/${pid}/net/${name}`);
  return [
    ...parseInterfaces(file("dev")).map((name) => `the interface ${name}`),
    ...parseAddresses(file("fib_trie"), file("if_inet6")).map((address) => `the address ${address}`),
    ...(file("route").trim().split("\n").length > 1 ? ["routes"] : []),
  ];
}

/** Names in /proc/net/dev but `lo` and those that are in every namespace: two lines of headings, `NAME: numbers`. */
export function parseInterfaces(dev: string): string[] {
  const names = dev.split("\n").slice(2).filter(Boolean);
  return names
    .map((line) => line.slice(0, line.lastIndexOf(":")).trim())
    .filter((name) => name !== "lo" && !FALLBACKS.test(name));
}

/** Addresses that the loopback interface does not have by itself, of /proc/net/fib_trie and if_inet6. */
export function parseAddresses(trie: string, v6: string): string[] {
  const own = [...trie.matchAll(/\|-- ([\d.]+)\n\s+\/32 host LOCAL/g)].map(([, address = ""]) => address);
  const six = v6
    .split("\n")
    .filter(Boolean)
    .map((line) => line.split(" ")[0] ?? "");
  const others = [
    ...own.filter((address) => address !== "127.0.0.1"),
    ...six.filter((one) => one !== LOOPBACK_V6),
  ];
  return [...new Set(others)];
}

/** Empty where the kernel lacks the protocol. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return "";
    throw error;
  }
}
