/**
 * Whether a decoded core of ours agrees with itself: mappings, runs, threads, descriptors, and the segments that
 * debuggers see. Shapes have been checked by the schemas.
 */
import { type Address, hex, PAGE_BYTES, RUN_BYTES_MAX, USER_END } from "../state/address.js";
import { isNameless, isSegment } from "../state/object-mapping.js";
import type { ProcessState } from "../state/process.js";
import type { Vma } from "../state/vma.js";
import { badCore } from "./byte-source.js";
import { contentsOf } from "./contents-of.js";
import type { Segment } from "./elf.js";
import { DATA_OFFSET } from "./layout.js";
import { VSYSCALL_ADDRESS } from "./segments.js";
import { SIGINFO_BYTES } from "./standard-notes.js";

const PAGE_MASK = BigInt(PAGE_BYTES - 1);

export interface CoreFacts {
  readonly path: string;
  readonly segments: readonly Segment[];
  /** End of the data, in bytes. */
  readonly tailOffset: number;
}

/** Refuses (BAD_CORE) a state whose parts contradict one another or the segments. */
export function checkConsistency(state: ProcessState, core: CoreFacts): void {
  const refuse = (what: string): never => {
    throw badCore(core.path, what);
  };
  checkVmas(state.vmas, refuse);
  checkRuns(state, { ...core, refuse });
  checkSegmentsOfVmas(state, { ...core, refuse });
  checkDescriptors(state, { ...core, refuse });
  checkObjects(state, refuse);
  checkPending(state, refuse);
  checkMm(state, refuse);
}

type Refuse = (what: string) => never;
type Context = CoreFacts & { readonly refuse: Refuse };

function checkVmas(vmas: readonly Vma[], refuse: Refuse): void {
  let end: Address = 0n;
  for (const vma of vmas) {
    const name = `the mapping ${hex(vma.start)}-${hex(vma.end)}`;
    if (vma.start >= vma.end || (vma.start | vma.end) & PAGE_MASK) refuse(`${name} is not whole pages`);
    if (vma.start < end) refuse(`${name} overlaps the one before it or is out of order`);
    if (vma.end > USER_END && vma.start !== VSYSCALL_ADDRESS) refuse(`${name} is outside user space`);
    for (const [from, to] of vma.guards) {
      if (from >= to || from < vma.start || to > vma.end || (from | to) & PAGE_MASK) {
        refuse(`${name} has a guard region at ${hex(from)} that is not inside it`);
      }
    }
    end = vma.end;
  }
}

/** Runs are in order, each inside one mapping, and apart from one another in memory and in the file. */
function checkRuns({ vmas, runs }: ProcessState, { tailOffset, refuse }: Context): void {
  let vmaIndex = 0;
  let end: Address = 0n;
  for (const run of runs) {
    // Made only where it is told: there is a run for every MiB.
    const refuseRun = (what: string) => refuse(`the run of pages at ${hex(run.address)} ${what}`);
    const runEnd = run.address + BigInt(run.lengthBytes);
    if (run.address & PAGE_MASK || run.lengthBytes % PAGE_BYTES !== 0) refuseRun("is not whole pages");
    if (run.lengthBytes > RUN_BYTES_MAX) refuseRun(`is longer than ${RUN_BYTES_MAX} bytes`);
    if (run.address < end) refuseRun("overlaps the one before it or is out of order");
    if (run.fileOffset < DATA_OFFSET || run.fileOffset % PAGE_BYTES !== 0) {
      refuseRun(`stands at ${run.fileOffset}, which is no place for pages`);
    }
    if (run.crc32c > 0xffff_ffff) refuseRun("has a checksum of more than 32 bits");
    while ((vmas[vmaIndex]?.end ?? USER_END) <= run.address && vmaIndex < vmas.length) vmaIndex += 1;
    const vma = vmas[vmaIndex];
    if (vma === undefined || run.address < vma.start || runEnd > vma.end) refuseRun("is in no mapping");
    end = runEnd;
  }
  let offset = DATA_OFFSET;
  for (const { fileOffset, lengthBytes } of [...runs].sort((a, b) => a.fileOffset - b.fileOffset)) {
    if (fileOffset < offset) refuse(`two runs of pages stand at ${fileOffset}`);
    offset = fileOffset + lengthBytes;
  }
  if (offset > tailOffset) refuse(`its pages end at ${offset}, behind its notes at ${tailOffset}`);
}

/** The segments tile the mappings with the same permissions, and hold each run where it says. */
function checkSegmentsOfVmas({ vmas, runs }: ProcessState, { segments, refuse }: Context): void {
  const loads = segments.filter(({ kind }) => kind === "load");
  let next = 0;
  let nextRun = 0;
  for (const vma of vmas) {
    if (vma.start === VSYSCALL_ADDRESS) continue;
    let at = vma.start;
    while (at < vma.end) {
      const load = loads[next];
      if (load === undefined || load.address !== at || load.prot !== vma.prot.slice(0, 3)) {
        refuse(`no segment shows the mapping ${hex(vma.start)}-${hex(vma.end)} at ${hex(at)} as it is`);
        return;
      }
      const stored = load.address + BigInt(load.fileBytes);
      for (let run = runs[nextRun]; run !== undefined && run.address < stored; run = runs[nextRun]) {
        const isThere = load.offset + Number(run.address - load.address) === run.fileOffset;
        if (!isThere) refuse(`the segment at ${hex(load.address)} and the run at ${hex(run.address)} differ`);
        nextRun += 1;
      }
      at += BigInt(load.memoryBytes);
      next += 1;
    }
    if (at !== vma.end) refuse(`a segment reaches past the mapping ${hex(vma.start)}-${hex(vma.end)}`);
  }
  if (next !== loads.length) refuse("it has a segment that is no mapping");
  if (nextRun !== runs.length) refuse(`no segment holds the run at ${hex(runs[nextRun]?.address ?? 0n)}`);
}

function checkDescriptors({ files }: ProcessState, { tailOffset, refuse }: Context): void {
  const ids = new Set(files.descriptions.map(({ id }) => id));
  if (ids.size !== files.descriptions.length) refuse("two open file descriptions have one id");
  const fds = new Set(files.descriptors.map(({ fd }) => fd));
  if (fds.size !== files.descriptors.length) refuse("a descriptor is there twice");
  for (const { fd, description } of files.descriptors) {
    if (!ids.has(description))
      refuse(`descriptor ${fd} refers to description ${description}, which is missing`);
  }
  for (const { path, content } of contentsOf(files)) {
    if (content === null) continue;
    const { fileOffset, lengthBytes, crc32c } = content;
    const isInside = fileOffset >= DATA_OFFSET && lengthBytes >= 0 && fileOffset + lengthBytes <= tailOffset;
    if (!isInside || fileOffset % PAGE_BYTES !== 0) refuse(`the content of ${path} is outside the data`);
    if (crc32c.length !== Math.ceil(lengthBytes / RUN_BYTES_MAX)) {
      refuse(`the content of ${path} has ${crc32c.length} checksums for ${lengthBytes} bytes`);
    }
  }
}

/** Files and segments behind mappings: each is of a kind that has no name, and every mapping is one of those there are. */
function checkObjects({ files, vmas }: ProcessState, refuse: Refuse): void {
  const { mapped = [], segments = [] } = files;
  const ids = new Set(files.descriptions.map(({ id }) => id));
  for (const { file, starts } of mapped) {
    if (ids.has(file.id)) refuse(`the mapped file ${file.path} has the id of another open file`);
    ids.add(file.id);
    const isMade = file.kind === "memfd" || (file.kind === "regular" && file.deleted);
    if (!isMade || file.sizeBytes < 0) refuse(`the mapped file ${file.path} is none that has no name`);
    checkStarts(starts, { what: file.path, vmas: vmas.filter((vma) => !isSegment(vma)), refuse });
  }
  for (const { id, starts } of segments) {
    const own = vmas.filter((vma) => isSegment(vma) && vma.ino === BigInt(id));
    checkStarts(starts, { what: `the segment ${id}`, vmas: own, refuse });
  }
  for (const vma of vmas.filter(isSegment)) {
    if (segments.some(({ starts }) => starts.includes(vma.start))) continue;
    refuse(`the mapping ${hex(vma.start)}-${hex(vma.end)} is of a segment that is not there`);
  }
}

function checkStarts(
  starts: readonly Address[],
  of: { readonly what: string; readonly vmas: readonly Vma[]; readonly refuse: Refuse },
): void {
  const nameless = new Set(of.vmas.filter(isNameless).map(({ start }) => start));
  const lost = starts.find((start) => !nameless.has(start));
  if (lost !== undefined || starts.length === 0)
    of.refuse(`${of.what} is mapped at ${hex(lost ?? 0n)}, where no such mapping is`);
}

function checkPending({ signals, threads }: ProcessState, refuse: Refuse): void {
  for (const info of [...signals.pending, ...threads.flatMap(({ pending }) => pending)]) {
    if (info.length !== SIGINFO_BYTES)
      refuse(`a pending signal has ${info.length} bytes, not ${SIGINFO_BYTES}`);
  }
}

/** What PR_SET_MM_MAP would refuse (validate_prctl_map_addr of kernel/sys.c), in short. */
function checkMm({ mm }: ProcessState, refuse: Refuse): void {
  for (const [name, address] of Object.entries(mm)) {
    if (address >= USER_END) refuse(`the memory bound ${name} ${hex(address)} is outside user space`);
  }
  const isOrdered =
    mm.startCode <= mm.endCode &&
    mm.startData <= mm.endData &&
    mm.startBrk <= mm.brk &&
    mm.argStart <= mm.argEnd &&
    mm.envStart <= mm.envEnd;
  if (!isOrdered) refuse("its memory bounds end before they start");
}
