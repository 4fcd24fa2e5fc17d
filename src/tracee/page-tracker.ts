/**
 * Which pages a running process has written since they were last looked at: a userfaultfd of the process itself, held
 * by cr alone, with UFFD_FEATURE_WP_ASYNC (Linux 6.7, Documentation/admin-guide/mm/userfaultfd.rst): the kernel notes
 * writes in the page table, and no handler is needed. When cr closes it or dies, the kernel undoes everything.
 */
import { closeSync } from "node:fs";
import { PAGE_BYTES } from "../state/address.js";
import type { Vma } from "../state/vma.js";
import { Beside } from "./beside.js";
import { type Helper, type Workplace, withHelperThread } from "./helper-thread.js";
import { parseSmaps, readMapsText } from "./maps.js";
import { readMemory, writeMemory } from "./memory.js";
import { packRanges } from "./native.js";
import { ownCall, tryOwnCall } from "./own-call.js";
import { Pagemap } from "./pagemap.js";
import type { Span } from "./range-list.js";
import type { ThreadRegisters } from "./thread.js";

/** O_CLOEXEC, O_NONBLOCK, UFFD_USER_MODE_ONLY: for everybody; the kernel's own writes are noted all the same. */
const UFFD_FLAGS = 0x80000 | 0x800 | 1;
/** pidfd_open(2), Linux 6.9. */
const PIDFD_THREAD = 0x80;
const UFFDIO_API = 0xc018_aa3f;
const UFFDIO_REGISTER = 0xc020_aa00;
const UFFDIO_WRITEPROTECT = 0xc018_aa06;
const UFFD_API = 0xaan;
const WP_ASYNC = 1n << 15n;
const MODE_WP = 2n;
const ESRCH = 3;
/** Bytes whose protection is taken away in one call: the process waits for no longer when it writes there. */
const LIFT_BYTES = 32 << 20;
/** Half of the memory, at least, for a scan by two threads. */
const SPLIT_BYTES_MIN = 256 << 20;

/** What is to be tracked, and whether an earlier tracking may have left marks there. */
interface Meant {
  readonly isMeant: (mapping: Vma) => boolean;
  readonly areMarked: boolean;
}

export class PageTracker {
  readonly #uffd: number;
  readonly #pagemap: Pagemap;
  /** Where something may be protected: by first address, the end. */
  readonly #tracked = new Map<number, number>();

  private constructor(pid: number, uffd: number) {
    this.#uffd = uffd;
    this.#pagemap = new Pagemap(pid);
  }

  /**
   * Begins to track the mappings that are meant of a stopped process, in memory borrowed from it. Null where this kernel or
   * a limit does not let us, or where tracking, tried on a borrowed page, does not see a write. Throws `NativeError` when
   * the process ended.
   */
  static start(
    work: Workplace,
    main: Pick<ThreadRegisters, "registers" | "sigmask">,
    meant: Meant,
  ): PageTracker | null {
    const uffd = withHelperThread(work, main, takeUserfault);
    if (uffd === null) return null;
    const tracker = new PageTracker(work.pid, uffd);
    if (tracker.#begin(work, meant)) return tracker;
    tracker[Symbol.dispose]();
    return null;
  }

  #begin({ pid, place }: Workplace, meant: Meant): boolean {
    const api = Buffer.alloc(24);
    api.writeBigUInt64LE(UFFD_API, 0);
    api.writeBigUInt64LE(WP_ASYNC, 8);
    if (tryOwnCall("ioctl", this.#uffd, UFFDIO_API, api) < 0) return false;
    const mappings = parseSmaps(readMapsText(pid));
    const holder = mappings.find(({ start, end }) => place >= start && place < end);
    if (holder === undefined || !this.register(holder)) return false;
    const page = { start: Number(place), end: Number(place) + PAGE_BYTES };
    const bytes = readMemory(pid, place, PAGE_BYTES);
    writeMemory(pid, place, bytes);
    const isWritten = () => this.#pagemap.pages("written", page).length > 0;
    if (this.#pagemap.pages("protect", page).length === 0 || isWritten()) return false;
    writeMemory(pid, place, bytes);
    if (!isWritten()) return false;
    this.#registerAll(mappings, meant);
    return true;
  }

  /**
   * Tracks a whole mapping of a process that stands, from now on; false where the kernel cannot. Marks of an earlier tracking
   * are taken away: where mremap(2) joined mappings the kernel forgets the tracking and leaves the marks, then lets the program
   * write there, and such pages would look clean for ever.
   */
  register({ start, end }: Pick<Vma, "start" | "end">): boolean {
    const span = { start: Number(start), end: Number(end) };
    if (!this.#register(span)) return false;
    this.#tracked.set(span.start, span.end);
    // Seldom, and much quicker to find out than to take marks away where there are none.
    if (this.#pagemap.pages("marked", span).length > 0) this.#lift([span])[Symbol.dispose]();
    return true;
  }

  /** The same for all that are meant; neighbours of them in one call, gaps between them or not. */
  #registerAll(all: readonly Vma[], { isMeant, areMarked }: Meant): void {
    let run: Vma[] = [];
    const end = () => {
      const [first, last] = [run[0], run.at(-1)];
      const isDone =
        first && last && !areMarked && this.#register({ start: Number(first.start), end: Number(last.end) });
      for (const one of run) {
        if (isDone) this.#tracked.set(Number(one.start), Number(one.end));
        else this.register(one);
      }
      run = [];
    };
    for (const one of all) {
      if (isMeant(one)) run.push(one);
      else end();
    }
    end();
  }

  #register({ start, end }: Span): boolean {
    const request = Buffer.alloc(32);
    request.writeBigUInt64LE(BigInt(start), 0);
    request.writeBigUInt64LE(BigInt(end - start), 8);
    request.writeBigUInt64LE(MODE_WP, 16);
    return tryOwnCall("ioctl", this.#uffd, UFFDIO_REGISTER, request) === 0;
  }

  /**
   * True while the memory that is tracked is there: an exec gives another one. Nothing is registered for that, which
   * could make pages that were moved there look clean; one page is opened, and counts as written.
   */
  isAlive(): boolean {
    const [start = 0] = this.#tracked.keys();
    return this.#open(start, start + PAGE_BYTES) !== -ESRCH;
  }

  /** Pages of the whole process, or of a part of it, by what is known of them (pagemap.ts). Throws `NativeError`. */
  pages(kind: "written" | "protect" | "untracked", within?: Span): Span[] {
    return this.#pagemap.pages(kind, within);
  }

  /** What the tracked mappings hold now; sooner of a process that `stands`. */
  census({ stands = false } = {}): ReturnType<Pagemap["census"]> {
    return this.#pagemap.census(stands ? this.#half() : 0);
  }

  /** The same of a process that stands, and what it has written. Throws `NativeError`. */
  changes(): ReturnType<Pagemap["changes"]> {
    return this.#pagemap.changes(this.#half());
  }

  /** Where half of what is tracked lies below, roughly: worth a thread's start only where there is much. */
  #half(): number {
    const ranges = [...this.#tracked].sort(([a], [b]) => a - b);
    let left = ranges.reduce((bytes, [start, end]) => bytes + end - start, 0) / 2;
    if (left < SPLIT_BYTES_MIN) return 0;
    for (const [start, end] of ranges) {
      if (end - start >= left) return start + Math.floor(left / LIFT_BYTES) * LIFT_BYTES;
      left -= end - start;
    }
    return 0;
  }

  #open(start: number, end: number): number {
    const request = Buffer.alloc(24);
    request.writeBigUInt64LE(BigInt(start), 0);
    request.writeBigUInt64LE(BigInt(end - start), 8);
    return tryOwnCall("ioctl", this.#uffd, UFFDIO_WRITEPROTECT, request);
  }

  /** Begins to take the protection away bit by bit: the kernel would do it at one go, and writers would wait. */
  #lift(spans: readonly Span[]): Beside {
    const ranges = spans.map(({ start, end }) => ({
      address: BigInt(start),
      lengthBytes: end - start,
      fileOffset: 0,
    }));
    return Beside.begin("cr_lift", this.#uffd, packRanges(ranges), ranges.length, LIFT_BYTES);
  }

  /** Begins to end it, while the process runs: what is to be disposed of instead of this. */
  end(): Disposable {
    const lifting = this.#lift([...this.#tracked].map(([start, end]) => ({ start, end })));
    return {
      [Symbol.dispose]: () => {
        lifting[Symbol.dispose]();
        this.#pagemap[Symbol.dispose]();
        closeSync(this.#uffd);
      },
    };
  }

  /** Ends it. */
  [Symbol.dispose](): void {
    this.end()[Symbol.dispose]();
  }
}

/** A userfaultfd that the process never had: made by a thread with a table of its own, taken, and gone with it. */
function takeUserfault(helper: Helper): number | null {
  const [fd = -1n] = helper.run([{ name: "userfaultfd", args: [UFFD_FLAGS] }]);
  if (fd < 0n) return null;
  const pidfd = tryOwnCall("pidfd_open", helper.tid, PIDFD_THREAD);
  if (pidfd < 0) return null;
  try {
    return ownCall("pidfd_getfd", pidfd, fd, 0);
  } finally {
    closeSync(pidfd);
  }
}
