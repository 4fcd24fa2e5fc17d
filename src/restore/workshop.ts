/**
 * A foothold in a newborn process while its address space is replaced: a page with a `syscall` instruction and
 * pages for arguments, at a place where neither the old nor the new layout has anything.
 */
import { CrError } from "../errors.js";
import { type Address, PAGE_BYTES, pageUp, USER_END } from "../state/address.js";
import { readMemory } from "../tracee/memory.js";
import { errnoName } from "../tracee/native.js";
import type { Newborn } from "../tracee/newborn.js";
import type { RemoteCall } from "../tracee/remote.js";

/** Kept clear around everything: room for the guard gap of grow-down stacks. */
const MARGIN = 0x200_0000n;
const LOWEST: Address = 0x1000_0000n;
const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE = 0x10_0022;
const SYSCALL_INT3 = Buffer.from([0x0f, 0x05, 0xcc]);
const ERRNO_MAX = 4095n;

export interface Range {
  readonly start: Address;
  readonly end: Address;
}

/** The lowest address with `sizeBytes` free and a margin to every taken range. RESTORE_FAILED when there is none. */
export function freeAddress(taken: readonly Range[], sizeBytes: number): Address {
  const size = BigInt(sizeBytes);
  let at = LOWEST;
  for (const range of [...taken].sort((a, b) => (a.start < b.start ? -1 : 1))) {
    if (at + size + MARGIN <= range.start) return at;
    if (range.end + MARGIN > at) at = pageUp(range.end + MARGIN);
  }
  if (at + size + MARGIN <= USER_END) return at;
  throw new CrError("RESTORE_FAILED", "cannot rebuild the program: its address space has no room left", {
    hint: "report this with the output of cr inspect",
  });
}

/** Calls to run, what they do, and the arguments they find at `data`. */
export interface Work {
  readonly what: string;
  readonly calls: readonly RemoteCall[];
  readonly data?: Buffer | undefined;
}

export class Workshop {
  readonly newborn: Newborn;
  readonly start: Address;
  readonly end: Address;

  private constructor(newborn: Newborn, start: Address, end: Address) {
    this.newborn = newborn;
    this.start = start;
    this.end = end;
  }

  /** Sets it up from the entry point, where the newborn stands. `dataBytes` is room for arguments. */
  static open(newborn: Newborn, entry: Address, place: { start: Address; dataBytes: number }): Workshop {
    const end = pageUp(place.start + BigInt(PAGE_BYTES + place.dataBytes));
    const workshop = new Workshop(newborn, place.start, end);
    newborn.pokeSyscall(entry);
    const map = (start: Address, stop: Address, prot: number): RemoteCall => ({
      name: "mmap",
      args: [start, stop - start, prot, MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE, -1, 0],
    });
    const data = place.start + BigInt(PAGE_BYTES);
    const calls = [map(place.start, data, PROT_READ | PROT_EXEC), map(data, end, PROT_READ | PROT_WRITE)];
    check(calls, newborn.run(newborn.pid, entry, calls), "make room for the work");
    newborn.write(place.start, SYSCALL_INT3);
    return workshop;
  }

  /** The same place in a process that was forked while this one stood there. */
  copiedTo(newborn: Newborn): Workshop {
    return new Workshop(newborn, this.start, this.end);
  }

  /** Where arguments are put; room for `dataBytes`. */
  get data(): Address {
    return this.start + BigInt(PAGE_BYTES);
  }

  /** Runs calls inside; RESTORE_FAILED saying what was being done when one of them fails. */
  run(what: string, calls: readonly RemoteCall[], data?: Buffer): bigint[] {
    return this.runIn(this.newborn.pid, { what, calls, data });
  }

  /** Runs one call that may fail; its raw result. */
  attempt(call: RemoteCall): bigint {
    return this.newborn.run(this.newborn.pid, this.start, [call])[0] ?? 0n;
  }

  /** Runs calls whose failing does not matter. */
  runAnyway(calls: readonly RemoteCall[]): void {
    if (calls.length > 0) this.newborn.run(this.newborn.pid, this.start, calls);
  }

  /** What calls have left where arguments are put. */
  read(bytes: number): Buffer {
    return readMemory(this.newborn.pid, this.data, bytes);
  }

  /** The same by another thread than the main one. */
  runIn(tid: number, work: Work): bigint[] {
    const { what, calls, data } = work;
    if (data !== undefined) {
      if (data.length > Number(this.end - this.data))
        throw new RangeError(`${what}: ${data.length} bytes of data`);
      this.newborn.write(this.data, data);
    }
    if (calls.length === 0) return [];
    const results = this.newborn.run(tid, this.start, calls);
    check(calls, results, what);
    return results;
  }

  /** Removes the workshop itself, by a `syscall` instruction elsewhere. */
  leave(syscallAt: Address): void {
    const calls: RemoteCall[] = [{ name: "munmap", args: [this.start, this.end - this.start] }];
    check(calls, this.newborn.run(this.newborn.pid, syscallAt, calls), "clear up");
  }
}

/** RESTORE_FAILED for the first call that failed. */
function check(calls: readonly RemoteCall[], results: readonly bigint[], what: string): void {
  const index = results.findIndex((result) => result < 0n && result >= -ERRNO_MAX);
  const failed = calls[index];
  if (failed === undefined) return;
  const errno = errnoName(Number(-(results[index] ?? 0n)));
  const args = failed.args.map((arg) => `0x${BigInt.asUintN(64, BigInt(arg)).toString(16)}`).join(", ");
  throw new CrError("RESTORE_FAILED", `cannot ${what}: ${failed.name} failed with ${errno}`, {
    hint: HINTS[errno] ?? "nothing of the program ran; report this with the output of cr inspect",
    data: { call: failed.name, args, errno },
  });
}

const HINTS: Readonly<Record<string, string>> = {
  ENOMEM: "free memory, or raise ulimit -v, ulimit -l and vm.max_map_count on this host",
  EAGAIN: "raise ulimit -l, and ulimit -i for queued signals, on this host",
  EMFILE: "raise ulimit -n",
};
