/**
 * The one place that loads libcr.so (native/cr.h has the ABI). Every function returns a number >= 0 or throws
 * `NativeError` with the errno's name. Calls are synchronous on the calling thread, because ptrace belongs to
 * the thread that attached; only `waitChild` runs on the pool.
 */
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { DataType, load, open } from "ffi-rs";
import { CrError } from "../errors.js";

const LIBRARY = fileURLToPath(new URL("../../native/libcr.so", import.meta.url));

const I32 = DataType.I32;
const I64 = DataType.I64;
const BYTES = DataType.U8Array;
const TEXT = DataType.String;

/** Parameters of every function, in the order of cr.h; all return int64_t. */
const SIGNATURES = {
  cr_layouts: [BYTES, I32],
  cr_seize: [BYTES, I32, BYTES],
  cr_wait: [BYTES, I32, BYTES, I32],
  cr_resume: [I32, I32],
  cr_detach: [BYTES, I32, BYTES],
  cr_get_thread: [I32, BYTES, I32],
  cr_set_thread: [I32, BYTES, I32],
  cr_set_registers: [I32, BYTES, I32],
  cr_set_sigmask: [I32, BYTES, I32],
  cr_peek: [I32, I32, BYTES, I32],
  cr_remote: [BYTES, I32, BYTES, I32, BYTES, I32],
  cr_mem_read: [I32, I64, BYTES, I64],
  cr_mem_write: [I32, I64, BYTES, I64],
  cr_copy_out: [I32, I32, BYTES, I32, BYTES, I32, BYTES, I64, I32],
  cr_fill: [I32, I32, I32, BYTES, I32, BYTES, BYTES, I32, I32, I32],
  cr_pack: [I32, I32, I64, BYTES, I32, I32, I32],
  cr_scan: [I32, I64, I64, BYTES, I32, BYTES, I32],
  cr_data_spans: [I32, I64, I64, BYTES, I32, BYTES],
  cr_lift: [I32, BYTES, I32, I64],
  cr_read_list: [TEXT, BYTES, I64, I32],
  cr_end: [I64],
  cr_spawn: [TEXT, I32, I32, I32, BYTES, I32, I32, TEXT],
  cr_wait_child: [I32],
  cr_own_call: [I64, BYTES, I32, BYTES, I32],
  cr_same: [BYTES, I32, I32, BYTES],
  cr_get_sched: [I32, BYTES, I32],
  cr_peek_pipe: [I32, BYTES, I32],
  cr_pipe: [BYTES, BYTES, I32],
  cr_terminal_group: [I32, I32],
  cr_xcr0: [],
} as const;
export type NativeFunction = keyof typeof SIGNATURES;
type Argument = number | string | Buffer;

/** A system call of the native library failed: `errno` is its name, such as `ESRCH`. */
export class NativeError extends Error {
  readonly errno: string;
  constructor(fn: NativeFunction, errno: string) {
    super(`${fn}: ${errno}`);
    this.name = "NativeError";
    this.errno = errno;
  }
}

let loaded = false;

/** Loads the library. Throws `NATIVE_MISSING` when it was not built or cannot be loaded. */
export function loadNative(): void {
  if (loaded) return;
  if (!existsSync(LIBRARY)) {
    throw new CrError("NATIVE_MISSING", `cannot load the native library: ${LIBRARY} is missing`, {
      hint: "run npm run build (needs gcc and make: apt-get install gcc make libc6-dev)",
    });
  }
  try {
    open({ library: "cr", path: LIBRARY });
  } catch (cause) {
    throw new CrError("NATIVE_MISSING", `cannot load the native library ${LIBRARY}`, {
      hint: "run npm run build on this machine",
      cause,
    });
  }
  loaded = true;
}

/** Calls a function of the library; its result >= 0, or a `NativeError`. */
export function call(fn: NativeFunction, ...args: Argument[]): number {
  const result = tryCall(fn, ...args);
  if (result < 0) throw new NativeError(fn, errnoName(-result));
  return result;
}

/** Calls a function of the library; its result as it is, negative errno included. */
export function tryCall(fn: NativeFunction, ...args: Argument[]): number {
  return Number(load({ ...request(fn, args), runInNewThread: false }));
}

/** The same on a pool thread, for calls that block and have nothing to do with ptrace. */
export async function callInPool(fn: NativeFunction, ...args: Argument[]): Promise<number> {
  const result = Number(await load({ ...request(fn, args), runInNewThread: true }));
  if (result < 0) throw new NativeError(fn, errnoName(-result));
  return result;
}

function request(fn: NativeFunction, args: Argument[]) {
  loadNative();
  return {
    library: "cr",
    funcName: fn,
    retType: I64,
    paramsType: [...SIGNATURES[fn]],
    paramsValue: args,
  };
}

/** `ESRCH` for 3, and so on; `errno N` for a number Node has no name for. */
export function errnoName(errno: number): string {
  const entry = Object.entries(constants.errno).find(([, value]) => value === errno);
  return entry?.[0] ?? `errno ${errno}`;
}

/** CRC32C of ranges of a file (each at most RUN_BYTES_MAX bytes), read in bulk by two threads. EIO behind its end. */
export function crc32cRanges(
  fd: number,
  ranges: readonly { readonly fileOffset: number; readonly lengthBytes: number }[],
): number[] {
  if (ranges.length === 0) return [];
  const packed = packRanges(ranges.map((range) => ({ ...range, address: 0n })));
  const crcs = Buffer.alloc(ranges.length * 4);
  const none = Buffer.alloc(0);
  const result = tryCall("cr_fill", 0, -1, fd, packed, ranges.length, crcs, none, 0, 0, 2);
  if (result === -constants.errno.ENODATA) throw new NativeError("cr_fill", "EIO");
  if (result < 0) throw new NativeError("cr_fill", errnoName(-result));
  return ranges.map((_, index) => crcs.readUInt32LE(index * 4));
}

/** `struct cr_range` array. */
export function packRanges(
  ranges: readonly { readonly address: bigint; readonly lengthBytes: number; readonly fileOffset: number }[],
): Buffer {
  const packed = Buffer.alloc(ranges.length * 24);
  ranges.forEach((range, index) => {
    packed.writeBigUInt64LE(range.address, index * 24);
    packed.writeBigUInt64LE(BigInt(range.lengthBytes), index * 24 + 8);
    packed.writeBigUInt64LE(BigInt(range.fileOffset), index * 24 + 16);
  });
  return packed;
}

/** Mask of the xstate components (XCR0) this kernel lets programs use. */
export function cpuComponents(): bigint {
  return BigInt(call("cr_xcr0"));
}
