/**
 * `cr restore --lazy`: the program's private anonymous memory stays in the core, and in those that it builds on, until it
 * is touched. A page server (tracee/page-server.ts) gets the newborn's userfaultfd (userfaultfd(2)) before anything is in
 * these mappings; all other memory is filled in as ever (fill.ts).
 */
import { resolve } from "node:path";
import type { Heritage } from "../core/chain.js";
import type { CoreFile } from "../core/reader.js";
import { ERROR_TABLE } from "../error-table.js";
import { CrError, type ErrorCode } from "../errors.js";
import type { PageRun } from "../state/pages.js";
import type { ProcessState } from "../state/process.js";
import type { Vma } from "../state/vma.js";
import { requireZstd } from "../tracee/frames.js";
import { withGrasp } from "../tracee/grasp.js";
import { PageServer, type Served, type ServerTrouble, SOURCES_MAX } from "../tracee/page-server.js";
import type { RemoteCall } from "../tracee/remote.js";
import type { Foreground } from "./foreground.js";
import type { Workshop } from "./workshop.js";

/** O_CLOEXEC and O_NONBLOCK; without UFFD_USER_MODE_ONLY, so that read(2) into a page that is not there yet works. */
const UFFD_FLAGS = 0x80000 | 0x800;
/**
 * VmFlags of mappings that are filled at once: locked memory has no page that is not there; stacks are small; children do
 * not get others as they are.
 */
const AT_ONCE: readonly string[] = ["lo", "gd", "dc", "wf", "io", "pf", "ht"];

/** What a core and those that it builds on hold of a program's memory. */
export interface Held {
  readonly runs: readonly PageRun[];
  readonly heritage: readonly Heritage[];
}

/** Memory that comes on demand, from the newborn's making to the program's end or cr's. */
export class LazyMemory implements Disposable {
  readonly #core: CoreFile;
  readonly #heritage: readonly Heritage[];
  readonly #corePath: string;
  #server: PageServer | null = null;

  /**
   * Of an open core and what it inherits from open ones: FOREIGN_CORE where it has no checksums, UNSUPPORTED_STATE where it
   * builds on too many, NATIVE_MISSING without the libzstd that one of them needs.
   */
  constructor(
    { core, heritage }: { readonly core: CoreFile; readonly heritage: readonly Heritage[] },
    corePath: string,
  ) {
    if (core.origin !== "recore") {
      throw new CrError(
        "FOREIGN_CORE",
        `restore ${core.path} with --lazy: it has no checksums of its memory`,
        {
          hint: "leave out --lazy",
        },
      );
    }
    const needed = heritage.filter(({ runs }) => runs.length > 0);
    if (needed.length >= SOURCES_MAX) {
      const found = `its memory stands in ${needed.length} earlier cores, at most ${SOURCES_MAX - 1} are possible`;
      throw new CrError("UNSUPPORTED_STATE", `restore ${core.path} with --lazy: ${found}`, {
        hint: `make it whole first: cr merge ${core.path} -o WHOLE, or leave out --lazy`,
      });
    }
    if ([core, ...needed.map((one) => one.core)].some(({ pages }) => pages.frames !== null)) requireZstd();
    this.#core = core;
    this.#heritage = needed;
    this.#corePath = resolve(corePath);
  }

  /** Lets a server bring what it can bring; what is left to be filled in at once. RESTORE_FAILED. */
  begin(workshop: Workshop, { vmas, runs }: Pick<ProcessState, "vmas" | "runs">): Held {
    const { pid } = workshop.newborn;
    const { areas, served, now } = divideAll(vmas, { core: this.#core, runs, heritage: this.#heritage });
    if (areas.length === 0) return now;
    const make: RemoteCall = { name: "userfaultfd", args: [UFFD_FLAGS] };
    const [fd = 0n] = workshop.run("watch its memory", [make]);
    const serving = { areas, served, corePath: this.#corePath };
    const pace = process.env.CR_LAZY_PACE ?? "";
    const server = withGrasp(pid, Number(fd), (uffd) => PageServer.start(pid, uffd, { ...serving, pace }));
    this.#server = server;
    workshop.run("leave its memory to be watched", [{ name: "close", args: [fd] }]);
    const trouble = server.awaitReady();
    if (trouble !== null) throw this.#asError(trouble);
    return now;
  }

  /** Nobody will wait for the program: what goes wrong from here on is told beside the core. */
  leave(): void {
    this.#server?.tellBeside();
  }

  /** The program was let go: the rest is brought meanwhile. */
  letFill(): void {
    this.#server?.letFill();
  }

  /** Why the server has ended the program, in the user's words; null when it has not. */
  failure(): CrError | null {
    const trouble = this.#server?.trouble() ?? null;
    return trouble && this.#asError(trouble);
  }

  /** The same foreground, which throws `failure` at the program's end. */
  attended(foreground: Foreground): Foreground {
    return {
      finished: async () => {
        const status = await foreground.finished();
        const failure = this.failure();
        if (failure !== null) throw failure;
        return status;
      },
      [Symbol.dispose]: () => {
        foreground[Symbol.dispose]();
        this[Symbol.dispose]();
      },
    };
  }

  #asError({ code, what }: ServerTrouble): CrError {
    const { path } = this.#core;
    const known = code in ERROR_TABLE ? (code as ErrorCode) : "RESTORE_FAILED";
    return new CrError(known, `cannot bring the memory of the program of ${path}: ${what}; it was ended`, {
      hint: HINTS[known] ?? "restore it again; cr verify tells whether the core is good",
      data: { path },
    });
  }

  /** The server goes on by itself. */
  [Symbol.dispose](): void {
    this.#server?.[Symbol.dispose]();
  }
}

const HINTS: { readonly [code in ErrorCode]?: string } = {
  CORE_CORRUPT: "restore an earlier checkpoint; cr verify tells which ones are good",
  CORE_TRUNCATED: "restore an earlier checkpoint; cr verify tells which ones are good",
  LIMIT_TOO_LOW: "free memory, and restore it again",
  PAGE_SERVER_LOST: "the core is as it was: restore it again",
};

/** The same for all cores: which mappings wait, in order of address, and what each core brings then and now. */
function divideAll(
  vmas: readonly Vma[],
  { core, runs, heritage }: Held & { readonly core: CoreFile },
): { readonly areas: readonly Vma[]; readonly served: readonly Served[]; readonly now: Held } {
  const own = divide(vmas, runs);
  const inherited = heritage.map((one) => ({ core: one.core, ...divide(vmas, one.runs) }));
  const waiting = new Set([own, ...inherited].flatMap(({ areas }) => areas));
  return {
    areas: vmas.filter((vma) => waiting.has(vma)),
    served: [
      { source: core.pages, runs: own.later, name: "" },
      ...inherited.map(({ core: { pages, path }, later }) => ({
        source: pages,
        runs: later,
        name: resolve(path),
      })),
    ],
    now: {
      runs: own.now,
      heritage: inherited.map((one) => ({ core: one.core, runs: one.now })),
    },
  };
}

/** Which mappings wait for their memory, and which runs are brought then and now. Both are in order of address. */
export function divide(
  vmas: readonly Vma[],
  runs: readonly PageRun[],
): { readonly areas: readonly Vma[]; readonly later: readonly PageRun[]; readonly now: readonly PageRun[] } {
  const suited = vmas.filter(canWait);
  const areas = new Set<Vma>();
  const [later, now]: [PageRun[], PageRun[]] = [[], []];
  let index = 0;
  for (const run of runs) {
    while ((suited[index]?.end ?? run.address + 1n) <= run.address) index += 1;
    const vma = suited[index];
    const waits = vma !== undefined && run.address >= vma.start && !run.sameAsFile;
    if (waits) areas.add(vma);
    (waits ? later : now).push(run);
  }
  return { areas: [...areas], later, now };
}

/** Code is written to by debuggers, and by cr itself (writeDetours), in a way that does not wait for a page. */
function canWait({ kind, prot, flags, hugePageBytes }: Vma): boolean {
  if (prot.startsWith("r-x")) return false;
  return kind === "anonymous" && hugePageBytes === undefined && !flags.some((flag) => AT_ONCE.includes(flag));
}
