/** The addresses that sockets of a program are bound or connected to again. */
import { CrError } from "../errors.js";
import { describeAddress } from "../state/socket-address.js";
import { errnoName } from "../tracee/native.js";
import { tryOwnCall } from "../tracee/own-call.js";

const EADDRNOTAVAIL = 99;

/** Binds or connects a socket to an address as its note tells it (hexadecimal); `whose` is for the user. RESTORE_FAILED. */
export function placeSocket(what: "bind" | "connect", fd: number, [whose, address]: [string, string]): void {
  const bytes = Buffer.from(address, "hex");
  const result = tryOwnCall(what, fd, bytes, bytes.length);
  if (result >= 0) return;
  const where = describeAddress(bytes);
  const hint =
    result === -EADDRNOTAVAIL
      ? "give this host the address first: ip address add"
      : "end what uses the address (ss -lnp shows it), and try again";
  const message = `cannot ${what} ${whose} to ${where}: ${errnoName(-result)}`;
  throw new CrError("RESTORE_FAILED", message, { hint, data: { address: where } });
}
