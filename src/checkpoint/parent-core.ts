/**
 * `--parent`: an earlier core that nothing was tracked since. Once the program runs again, its new core is compared with that
 * one byte by byte, and pages that are the same are left to it: exact, and it saves room, not time. Reads cores, so that
 * it is loaded only where it is wanted.
 */
import { basename, resolve } from "node:path";
import { type Chain, checksumOfCore, openChain } from "../core/chain.js";
import { readState } from "../core/read-state.js";
import { type CoreFile, openCore } from "../core/reader.js";
import { CrError } from "../errors.js";
import { readPadded } from "../file-bytes.js";
import { bootId } from "../host/boot.js";
import { PAGE_BYTES } from "../state/address.js";
import type { Ancestor } from "../state/delta.js";
import type { PageRun } from "../state/pages.js";
import type { ProcessState } from "../state/process.js";
import { punchHole } from "../tracee/punch.js";
import type { Span } from "../tracee/range-list.js";
import { unpack } from "../tracee/unpack.js";
import type { Planned } from "./core-plan.js";
import { type BasePiece, PageBase } from "./page-base.js";
import type { PlaceBook, Placed } from "./places.js";
import { clip, isTracked, spanOf } from "./spans.js";

/** Who is to be checkpointed. */
export interface Child {
  readonly pid: number;
  readonly startTicks: bigint;
  /** Path of the new core. */
  readonly output: string;
}

/** An open parent. */
export interface ParentCore extends Disposable {
  /** It and the cores that it builds on, the whole one first. */
  readonly chain: readonly Ancestor[];
  /**
   * Compares what was copied of private memory with the parent, in the file behind `fd`, and takes what is the same out of
   * the book and the file. Where it stands.
   */
  baseFor(book: PlaceBook, planned: Planned, fd: number): PageBase;
}

/** Opens the core at `path` for a child of it. PARENT_OTHER, USAGE, and what opening a core and its chain throws. */
export function openParent(path: string, child: Child): ParentCore {
  const core = openCore(resolve(path), { unpack });
  try {
    const state = requireParent(core, child);
    const chain = openChain(core.path, state, { unpack });
    const close = () => {
      chain[Symbol.dispose]();
      core.close();
    };
    return parentOf(core, { state, chain, close });
  } catch (error) {
    core.close();
    throw error;
  }
}

function requireParent(core: CoreFile, { pid, startTicks, output }: Child): ProcessState {
  const { path } = core;
  if (path === output) {
    throw new CrError(
      "USAGE",
      `--parent ${path}: the new core would take its place, another path is required`,
      {
        hint: "choose another path with -o",
      },
    );
  }
  const state = core.origin === "recore" ? readState(core) : null;
  const own = state?.process;
  const isSame = (own?.hostPid ?? own?.pid) === pid && own?.startTicks === startTicks;
  if (state !== null && isSame && state.host.bootId === bootId() && own?.tree === undefined) return state;
  const found =
    own === undefined
      ? "no core of Recore"
      : own.tree !== undefined
        ? `of a process tree, that of process ${own.tree}`
        : `of process ${own.hostPid ?? own.pid} (${own.comm}), started at another time or under another boot`;
  throw new CrError(
    "PARENT_OTHER",
    `cannot build on ${path}: it is ${found}; a core of process ${pid} is required`,
    {
      hint: "leave out --parent to write a whole core",
      data: { parent: path },
    },
  );
}

function parentOf(
  core: CoreFile,
  {
    state,
    chain,
    close,
  }: { readonly state: ProcessState; readonly chain: Chain; readonly close: () => void },
): ParentCore {
  const ancestors = [...(state.delta?.ancestors ?? [])].reverse();
  const own = { name: basename(core.path), path: core.path, takenMs: state.host.takenMs };
  const last = ancestors.length;
  const holders = [
    { core, runs: state.runs, level: last },
    ...chain.heritage.map((one, index) => ({ ...one, level: last - 1 - index })),
  ];
  return {
    chain: [...ancestors, { ...own, checksum: checksumOfCore(core) ?? "" }],
    baseFor: (book, { vmas, stored }, fd) => {
      book.cover(stored.map(spanOf));
      const wanted = clip(stored.map(spanOf), vmas.filter(isTracked));
      const same = holders.flatMap((holder) => sameOf(holder, { book, wanted, fd }));
      for (const span of same) {
        for (const { start, end, fileOffset } of book.placed(span)) punchHole(fd, fileOffset, end - start);
      }
      book.drop(same);
      return PageBase.of(same);
    },
    [Symbol.dispose]: close,
  };
}

interface Holder {
  readonly core: CoreFile;
  readonly runs: readonly PageRun[];
  readonly level: number;
}

interface Copied {
  readonly book: PlaceBook;
  readonly wanted: readonly Span[];
  readonly fd: number;
}

/** What of the copy stands in one core already. */
function sameOf({ core, runs, level }: Holder, { book, wanted, fd }: Copied): BasePiece[] {
  return runs.flatMap((run) => {
    const parts = clipSpan(spanOf(run), wanted).flatMap((span) => book.placed(span));
    if (parts.length > 0) core.need([run]);
    return parts.flatMap((part) => {
      const fileOffset = run.fileOffset + part.start - Number(run.address);
      const bytes = part.end - part.start;
      const [here, there] = [readPadded(fd, bytes, part.fileOffset), readPadded(core.fd, bytes, fileOffset)];
      return samePages(here, there).map(([from, to]) => {
        const span = { start: part.start + from, end: part.start + to };
        return { ...span, level, fileOffset: fileOffset + from, checksums: sumsOf(book, span) };
      });
    });
  });
}

function sumsOf(book: PlaceBook, span: Span): Uint32Array {
  return Uint32Array.from(book.placed(span).flatMap((part: Placed) => [...book.checksums(part)]));
}

/** Runs of pages that are the same in both, as offsets. */
function samePages(a: Buffer, b: Buffer): [number, number][] {
  if (a.equals(b)) return [[0, a.length]];
  const found: [number, number][] = [];
  for (let at = 0; at < a.length; at += PAGE_BYTES) {
    const end = at + PAGE_BYTES;
    if (a.compare(b, at, end, at, end) !== 0) continue;
    const last = found.at(-1);
    if (last?.[1] === at) last[1] = end;
    else found.push([at, end]);
  }
  return found;
}

/** The parts of a span that lie in others, which are in order. */
function clipSpan(span: Span, others: readonly Span[]): Span[] {
  let low = 0;
  for (let high = others.length; low < high; ) {
    const middle = (low + high) >> 1;
    if ((others[middle] as Span).end <= span.start) low = middle + 1;
    else high = middle;
  }
  const parts: Span[] = [];
  for (let index = low; index < others.length && (others[index] as Span).start < span.end; index += 1) {
    const { start, end } = others[index] as Span;
    parts.push({ start: Math.max(start, span.start), end: Math.min(end, span.end) });
  }
  return parts;
}
