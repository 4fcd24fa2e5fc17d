/**
 * A process of our own that is to become a restored program: forked and traced from exec on (PTRACE_TRACEME), dead
 * if we die (PTRACE_O_EXITKILL), killed by `dispose` unless it was let go.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { Address } from "../state/address.js";
import type { ThreadState } from "../state/thread.js";
import { readAuxv } from "./auxv.js";
import { sendSignal } from "./kill.js";
import { readMemory, writeMemory } from "./memory.js";
import { call, tryCall } from "./native.js";
import { type RemoteCall, runUnguarded } from "./remote.js";
import { decodeStatus, type Stop } from "./stop.js";
import { writeThread } from "./thread.js";

const SIGKILL = 9;
const SIGSTOP = 19;
const SIGTRAP = 5;
const WAIT_MS = 30_000;
const ALL_SIGNALS = (1n << 64n) - 1n;
/** CR_SPAWN_SETSID, CR_SPAWN_SETPGID of native/cr.h. */
const SETSID = 1;
const SETPGID = 2;
const INT3 = Buffer.from([0xcc]);
const SYSCALL_INSTRUCTION = Buffer.from([0x0f, 0x05]);
const AT_BASE = 7;
const AT_ENTRY = 9;
const E_ENTRY_AT = 24n;
/** Signals tried for the last stop, in turn: one that is not queued already. */
const LAST_STOP_SIGNALS = [23, 28, 17, 16, 5, 10, 12];

export interface SpawnOptions {
  readonly exe: string;
  /** The pid it is to have (clone3 set_tid), null for any. */
  readonly pid: number | null;
  readonly group: "session" | "own" | "shared";
  readonly personality: number;
  /** Descriptors of ours that it gets at `fdBase`, `fdBase + 1`, …; besides 0 to 2 it gets no others. */
  readonly fds: readonly number[];
  readonly fdBase: number;
}

/** The process stopped otherwise than it had to. */
export class NewbornLost extends Error {
  readonly stop: Stop;
  constructor(stop: Stop) {
    super(
      stop.kind === "signaled" ? `it was killed by signal ${stop.signal}` : `unexpected stop: ${stop.kind}`,
    );
    this.name = "NewbornLost";
    this.stop = stop;
  }
}

export class Newborn {
  readonly pid: number;
  #held = true;

  private constructor(pid: number) {
    this.pid = pid;
  }

  /** Forks and execs; stopped at the first instruction of the new image. Throws `NativeError` with exec's errno. */
  static spawn(options: SpawnOptions): Newborn {
    const { exe, pid, group, personality, fds, fdBase } = options;
    const packed = Buffer.alloc(fds.length * 4);
    fds.forEach((fd, index) => {
      packed.writeInt32LE(fd, index * 4);
    });
    const flags = group === "session" ? SETSID : group === "own" ? SETPGID : 0;
    return new Newborn(call("cr_spawn", exe, pid ?? 0, flags, personality | 0, packed, fds.length, fdBase));
  }

  /**
   * Runs to the entry point of the image that the kernel starts (the interpreter's for a dynamic program, its own
   * for a static one) by a breakpoint there, and blocks all signals. Returns the entry point's address.
   */
  runToEntry(): Address {
    const auxv = readAuxv(readFileSync(`/proc/${this.pid}/auxv`));
    const base = auxv.get(AT_BASE) ?? 0n;
    const entry =
      base === 0n
        ? (auxv.get(AT_ENTRY) ?? 0n)
        : base + readMemory(this.pid, base + E_ENTRY_AT, 8).readBigUInt64LE();
    const word = readMemory(this.pid, entry, 1);
    writeMemory(this.pid, entry, INT3);
    this.#resumeTo(SIGTRAP);
    writeMemory(this.pid, entry, word);
    this.setSigmask(ALL_SIGNALS);
    return entry;
  }

  /** Overwrites code at an address with a `syscall` instruction: its own code is not going to run. */
  pokeSyscall(address: Address): void {
    writeMemory(this.pid, address, SYSCALL_INSTRUCTION);
  }

  /** Runs system calls inside, at a `syscall` instruction; raw results. */
  run(syscallAt: Address, calls: readonly RemoteCall[]): bigint[] {
    return runUnguarded(this.pid, syscallAt, calls);
  }

  write(address: Address, bytes: Buffer): void {
    writeMemory(this.pid, address, bytes);
  }

  /** Writes a file of /proc/PID that has no system call, such as oom_score_adj. */
  writeProc(name: string, text: string): void {
    writeFileSync(`/proc/${this.pid}/${name}`, text);
  }

  setSigmask(mask: bigint): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(mask);
    call("cr_set_sigmask", this.pid, bytes, 8);
  }

  /**
   * Brings it into a stop inside the kernel's signal delivery, from which an interrupted system call is restarted
   * by the kernel's own rules, and sets its registers and mask. `queued` are signals that wait in its queues.
   */
  finish(
    thread: Pick<ThreadState, "registers" | "fpregs" | "xstate" | "sigmask">,
    queued: readonly number[],
  ): void {
    const signal = LAST_STOP_SIGNALS.find((candidate) => !queued.includes(candidate));
    if (signal === undefined)
      throw new RangeError(`no signal is free for the last stop: ${queued.join(", ")}`);
    this.setSigmask(ALL_SIGNALS & ~(1n << BigInt(signal - 1)));
    sendSignal(this.pid, signal);
    this.#resumeTo(signal);
    writeThread(this.pid, thread);
  }

  /** Lets it go, running or stopped by SIGSTOP; from here on it is an ordinary child. */
  release(options: { readonly stopped: boolean }): void {
    if (options.stopped) sendSignal(this.pid, SIGSTOP);
    call("cr_detach", this.pid, 0);
    this.#held = false;
  }

  #resumeTo(signal: number): void {
    call("cr_resume", this.pid, 0);
    const stop = decodeStatus(call("cr_wait", this.pid, WAIT_MS));
    if (stop.kind === "exited" || stop.kind === "signaled") this.#held = false;
    if (stop.kind !== "stopped" || stop.signal !== signal) throw new NewbornLost(stop);
  }

  /** Kills it unless it was let go; then it is gone, reaped. */
  [Symbol.dispose](): void {
    if (!this.#held) return;
    this.#held = false;
    sendSignal(this.pid, SIGKILL);
    tryCall("cr_wait", this.pid, WAIT_MS);
  }
}
