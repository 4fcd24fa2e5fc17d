/** What a stopped thread has of the CPU besides its registers: hardware breakpoints, thread areas, I/O ports (ptrace(2)). */
import { call } from "./native.js";

/** CR_PEEK_HARDWARE and CR_HARDWARE_BYTES of native/cr.h. */
const PEEK_HARDWARE = -1;
const BYTES = 40;
const AREAS_AT = 8;
const PORTS_AT = 32;
/** The bits of DR7 that turn its four breakpoints on (Intel SDM volume 3, 18.2.4). */
const ENABLED = 0xffn;

export interface Hardware {
  /** A breakpoint of the debug registers is on, left behind by a debugger. */
  readonly breakpoints: boolean;
  /** An entry of the GDT, as 32-bit code uses for its thread-local storage (set_thread_area(2)). */
  readonly threadAreas: boolean;
  /** I/O ports (ioperm(2)). */
  readonly ports: boolean;
}

/** Asks for all of it in one native call. Throws `NativeError`: ESRCH when the thread is gone. */
export function readHardware(tid: number): Hardware {
  const raw = Buffer.alloc(BYTES);
  call("cr_peek", tid, PEEK_HARDWARE, raw, raw.length);
  return {
    breakpoints: (raw.readBigUInt64LE(0) & ENABLED) !== 0n,
    threadAreas: raw.subarray(AREAS_AT, PORTS_AT).some((byte) => byte !== 0),
    ports: raw.readBigUInt64LE(PORTS_AT) !== 0n,
  };
}
