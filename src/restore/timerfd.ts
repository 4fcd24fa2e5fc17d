/** Timers behind descriptors: set going again with the time they had left, their unread expirations in place. */
import { CrError } from "../errors.js";
import type { ObjectOf } from "../state/kernel-object.js";
import { tryOwnCall } from "../tracee/own-call.js";

const SECOND_NS = 1_000_000_000n;
const SPEC_BYTES = 32;
/** _IOW('T', 0, __u64) of linux/timerfd.h; in kernels with CONFIG_CHECKPOINT_RESTORE. */
const TFD_IOC_SET_TICKS = 0x4008_5400;
const TFD_TIMER_ABSTIME = 1;

/** Starts the timer behind cr's descriptor `fd`. RESTORE_FAILED when this kernel cannot. */
export function startTimerfd(fd: number, timer: ObjectOf<"timerfd">): void {
  const { flags, ticks, valueNs, intervalNs, untilNs } = timer;
  const left = valueNs === 0n ? intervalNs : valueNs;
  if (left > 0n) {
    const spec = Buffer.alloc(SPEC_BYTES);
    putTime(spec, 0, intervalNs);
    putTime(spec, 16, untilNs ?? left);
    // A relative time stays one; only the wall clock's absolute times mean the same after a restore.
    const how = untilNs === null ? flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) : flags;
    require(tryOwnCall("timerfd_settime", fd, how, spec, 0), "set a timer (timerfd)");
  }
  if (ticks === 0n) return;
  const count = Buffer.alloc(8);
  count.writeBigUInt64LE(ticks);
  require(tryOwnCall("ioctl", fd, TFD_IOC_SET_TICKS, count), "put back unread expirations of a timerfd");
}

const TFD_TIMER_CANCEL_ON_SET = 2;

function putTime(spec: Buffer, at: number, ns: bigint): void {
  spec.writeBigInt64LE(ns / SECOND_NS, at);
  spec.writeBigInt64LE(ns % SECOND_NS, at + 8);
}

function require(result: number, what: string): void {
  if (result >= 0) return;
  throw new CrError("RESTORE_FAILED", `cannot ${what}: errno ${-result}`, {
    hint: "nothing of the program ran; this needs a kernel with CONFIG_CHECKPOINT_RESTORE",
  });
}
