/**
 * A process of our own that is to become a restored program: forked and traced from exec on (PTRACE_TRACEME), dead
 * if we die (PTRACE_O_EXITKILL), killed by `dispose` unless it was let go.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { Address } from "../state/address.js";
import { AT, decodeAuxv } from "../state/auxv.js";
import type { ThreadState } from "../state/thread.js";
import { detach } from "./detach.js";
import { sendSignal } from "./kill.js";
import { readMemory, writeMemory } from "./memory.js";
import { call, errnoName, NativeError } from "./native.js";
import { ownCall } from "./own-call.js";
import { reap } from "./reap.js";
import { type RemoteCall, runUnguarded } from "./remote.js";
import { decodeStatus, type Stop } from "./stop.js";
import { writeThread } from "./thread.js";
import { packInts } from "./tids.js";

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
  /** Lines for /proc/PID/timens_offsets of a time namespace of its own; empty for ours. */
  readonly clocks: string;
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
  /** Threads besides the main one, in the order in which they were made. */
  readonly #threads: number[] = [];
  /** Numbers in a pid namespace of its own by ours; none in ours. */
  readonly #inside: ReadonlyMap<number, number>;
  /** Our own child: whoever waits for it wants its end. */
  readonly #isOurs: boolean;

  private constructor(pid: number, isOurs: boolean, inside: ReadonlyMap<number, number> = new Map()) {
    this.pid = pid;
    this.#isOurs = isOurs;
    this.#inside = inside;
  }

  /** The number by which it knows a process, group or thread of ours. */
  numberOf(id: number): number {
    return this.#inside.get(id) ?? id;
  }

  /** The numbers of a new thread or child of its (set_tid of clone3(2)), innermost first. */
  numbersFor(id: number): number[] {
    return this.#inside.has(id) ? [this.numberOf(id), id] : [id];
  }

  /** Forks and execs; stopped at the first instruction of the new image. Throws `NativeError` with exec's errno. */
  static spawn(options: SpawnOptions): Newborn {
    const { exe, pid, group, personality, fds, fdBase, clocks } = options;
    const flags = group === "session" ? SETSID : group === "own" ? SETPGID : 0;
    const args = [exe, pid ?? 0, flags, personality | 0, packInts(fds), fds.length, fdBase, clocks] as const;
    return new Newborn(call("cr_spawn", ...args), true);
  }

  /** Takes charge of a process that a newborn's remote clone3 has just made: it stands in its first stop (PTRACE_O_TRACEFORK). */
  static born(pid: number, inside?: ReadonlyMap<number, number>): Newborn {
    const newborn = new Newborn(pid, false, inside);
    try {
      newborn.#expect(pid, SIGSTOP);
    } catch (error) {
      newborn[Symbol.dispose]();
      throw error;
    }
    return newborn;
  }

  /**
   * Runs to the entry point of the image that the kernel starts (the interpreter's for a dynamic program, its own
   * for a static one) by a breakpoint there, and blocks all signals. Returns the entry point's address.
   */
  runToEntry(): Address {
    const auxv = decodeAuxv(readFileSync(`/proc/${this.pid}/auxv`));
    const base = auxv.get(AT.BASE) ?? 0n;
    const entry =
      base === 0n
        ? (auxv.get(AT.ENTRY) ?? 0n)
        : base + readMemory(this.pid, base + E_ENTRY_AT, 8).readBigUInt64LE();
    const word = readMemory(this.pid, entry, 1);
    writeMemory(this.pid, entry, INT3);
    this.#resumeTo(this.pid, SIGTRAP);
    writeMemory(this.pid, entry, word);
    setSigmask(this.pid, ALL_SIGNALS);
    return entry;
  }

  /** Overwrites code at an address with a `syscall` instruction: its own code is not going to run. */
  pokeSyscall(address: Address): void {
    writeMemory(this.pid, address, SYSCALL_INSTRUCTION);
  }

  /** Runs system calls inside, at a `syscall` instruction, by a thread of its own; raw results. */
  run(tid: number, syscallAt: Address, calls: readonly RemoteCall[]): bigint[] {
    return runUnguarded(tid, syscallAt, calls);
  }

  /** Takes charge of a thread that a remote clone3 has just made: it stands in its first stop (PTRACE_O_TRACECLONE). */
  adopt(tid: number): void {
    this.#threads.push(tid);
    this.#expect(tid, SIGSTOP);
  }

  write(address: Address, bytes: Buffer): void {
    writeMemory(this.pid, address, bytes);
  }

  /** Writes a file of /proc/PID that has no system call, such as oom_score_adj. */
  writeProc(name: string, text: string): void {
    writeFileSync(`/proc/${this.pid}/${name}`, text);
  }

  /**
   * Brings a thread into a stop inside the kernel's signal delivery, from which an interrupted system call is restarted
   * by the kernel's own rules, and sets its registers and mask. `queued` are signals that wait in its queues.
   */
  finish(
    thread: Pick<ThreadState, "tid" | "registers" | "fpregs" | "xstate" | "sigmask">,
    queued: readonly number[],
  ): void {
    const signal = LAST_STOP_SIGNALS.find((candidate) => !queued.includes(candidate));
    if (signal === undefined)
      throw new RangeError(`no signal is free for the last stop: ${queued.join(", ")}`);
    setSigmask(thread.tid, ALL_SIGNALS & ~(1n << BigInt(signal - 1)));
    ownCall("tgkill", this.pid, thread.tid, signal);
    this.#resumeTo(thread.tid, signal);
    writeThread(thread.tid, thread);
  }

  /**
   * Ends it by a signal, with default disposition, whose death its parent in the tree can then wait for: all but our own
   * part of the zombie stays.
   */
  dieOf(signal: number): void {
    if (signal === SIGKILL) sendSignal(this.pid, SIGKILL);
    else {
      setSigmask(this.pid, ALL_SIGNALS & ~(1n << BigInt(signal - 1)));
      ownCall("tgkill", this.pid, this.pid, signal);
      this.#resumeTo(this.pid, signal);
      call("cr_resume", this.pid, signal);
    }
    const stop = this.#next(this.pid);
    this.#held = stop.kind !== "signaled" && stop.kind !== "exited";
    if (stop.kind !== "signaled" || stop.signal !== signal) throw new NewbornLost(stop);
  }

  /** Ends it by a remote exit_group, at a `syscall` instruction; the zombie stays for its parent in the tree. */
  exit(syscallAt: Address, status: number): void {
    const left = tryRun(() => this.run(this.pid, syscallAt, [{ name: "exit_group", args: [status] }]));
    if (left) throw new RangeError(`process ${this.pid} is there after its exit`);
    this.#held = false;
  }

  /** Lets all its threads go at once, running or stopped by SIGSTOP; from here on it is an ordinary child. */
  release(options: { readonly stopped: boolean }): void {
    Newborn.releaseAll([{ newborn: this, ...options }]);
  }

  /** The same for all members of a tree, in one go. */
  static releaseAll(all: readonly { readonly newborn: Newborn; readonly stopped: boolean }[]): void {
    for (const { newborn, stopped } of all) if (stopped) sendSignal(newborn.pid, SIGSTOP);
    const tids = all.flatMap(({ newborn }) => [newborn.pid, ...newborn.#threads]);
    const ours = all.flatMap(({ newborn }) => (newborn.#isOurs ? [newborn.pid] : []));
    detach(tids, new Array<number>(tids.length).fill(0), ours);
    for (const { newborn } of all) newborn.#held = false;
  }

  #resumeTo(tid: number, signal: number): void {
    call("cr_resume", tid, 0);
    this.#expect(tid, signal);
  }

  #next(tid: number): Stop {
    const status = Buffer.alloc(4);
    call("cr_wait", packInts([tid]), 1, status, WAIT_MS);
    const got = status.readInt32LE();
    if (got < 0) throw new NativeError("cr_wait", errnoName(-got));
    return decodeStatus(got);
  }

  /** Waits for the delivery of a signal. */
  #expect(tid: number, signal: number): void {
    const stop = this.#next(tid);
    if (stop.kind !== "stopped" || stop.signal !== signal) throw new NewbornLost(stop);
  }

  /** Kills it unless it was let go; then it is gone, reaped. */
  [Symbol.dispose](): void {
    if (!this.#held) return;
    this.#held = false;
    sendSignal(this.pid, SIGKILL);
    // The main thread's end is only told after that of all others.
    reap([...this.#threads, this.pid], WAIT_MS);
  }
}

/** False when the tracee ended in its system call. */
function tryRun(run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch (error) {
    if (error instanceof NativeError && error.errno === "ESRCH") return false;
    throw error;
  }
}

function setSigmask(tid: number, mask: bigint): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(mask);
  call("cr_set_sigmask", tid, bytes, 8);
}
