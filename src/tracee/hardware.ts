/**
 * What a stopped thread has of the CPU besides its registers: hardware breakpoints, thread areas, I/O ports (ptrace(2)),
 * and whether it wants a core for itself (prctl(2)).
 */
import { call } from "./native.js";
import { tryOwnCall } from "./own-call.js";

/** CR_PEEK_HARDWARE and CR_HARDWARE_BYTES of native/cr.h. */
const PEEK_HARDWARE = -1;
const BYTES = 40;
const AREAS_AT = 8;
const PORTS_AT = 32;
const PR_SCHED_CORE = 62;
const PR_SCHED_CORE_GET = 0;
/** The bits of DR7 that turn its four breakpoints on (Intel SDM volume 3, 18.2.4). */
const ENABLED = 0xffn;

export interface Hardware {
  /** A breakpoint of the debug registers is on, left behind by a debugger. */
  readonly breakpoints: boolean;
  /** An entry of the GDT, as 32-bit code uses for its thread-local storage (set_thread_area(2)). */
  readonly threadAreas: boolean;
  /** I/O ports (ioperm(2)). */
  readonly ports: boolean;
  /** It shares CPU cores with none but threads of the same cookie (core-scheduling.rst of the kernel). */
  readonly coreCookie: boolean;
}

/** Asks for all of it in one native call. Throws `NativeError`: ESRCH when the thread is gone. */
export function readHardware(tid: number): Hardware {
  const raw = Buffer.alloc(BYTES);
  call("cr_peek", tid, PEEK_HARDWARE, raw, raw.length);
  return {
    breakpoints: (raw.readBigUInt64LE(0) & ENABLED) !== 0n,
    threadAreas: raw.subarray(AREAS_AT, PORTS_AT).some((byte) => byte !== 0),
    ports: raw.readBigUInt64LE(PORTS_AT) !== 0n,
    coreCookie: hasCoreCookie(tid),
  };
}

/** False where the kernel or the CPU has no such thing. */
function hasCoreCookie(tid: number): boolean {
  const cookie = Buffer.alloc(8);
  const result = tryOwnCall("prctl", PR_SCHED_CORE, PR_SCHED_CORE_GET, tid, 0, cookie);
  return result === 0 && cookie.readBigUInt64LE() !== 0n;
}
