/**
 * The program headers of a delta, by the ten thousands: made as bytes from columns of numbers, with no object for each.
 * They show what planCore (layout.ts) would show.
 */
import { USER_END } from "../state/address.js";
import type { RunTable } from "../state/run-table.js";
import type { Vma } from "../state/vma.js";
import { type Alias, withAliases } from "./alias-segments.js";
import { encodeProt, PROGRAM_HEADER_BYTES, PT_LOAD } from "./elf.js";
import { DATA_OFFSET, planCore, type StoredRange } from "./layout.js";

const WORDS = PROGRAM_HEADER_BYTES / 4;
const WORD = 2 ** 32;
const ALIGNMENT = 4096;

/** Where a segment is, in memory and in the file. */
interface Piece {
  readonly prot: string;
  readonly offset: number;
  readonly fileBytes: number;
}

/** PT_LOADs in order of address, as they stand in the file. */
export class LoadTable {
  #words = new Uint32Array(256 * WORDS);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get bytes(): Buffer {
    return Buffer.from(this.#words.buffer, 0, this.#count * PROGRAM_HEADER_BYTES);
  }

  /** A segment of the pages from `address` up to `end`; one without pages is left out. */
  add(address: number, end: number, { prot, offset, fileBytes }: Piece): void {
    if (end === address) return;
    const at = this.#count * WORDS;
    if (at === this.#words.length) {
      const more = new Uint32Array(this.#words.length * 2);
      more.set(this.#words);
      this.#words = more;
    }
    this.#words[at] = PT_LOAD;
    this.#words[at + 1] = encodeProt(prot);
    this.#put(at + 2, offset);
    this.#put(at + 4, address);
    this.#put(at + 8, fileBytes);
    this.#put(at + 10, end - address);
    this.#put(at + 12, ALIGNMENT);
    this.#count += 1;
  }

  #put(at: number, value: number): void {
    this.#words[at] = value % WORD;
    this.#words[at + 1] = Math.floor(value / WORD);
  }
}

/** Plans the segments of a core whose runs these are, in order; RangeError where a run is in no mapping. */
export function planLoads(vmas: readonly Vma[], runs: RunTable, aliases: readonly Alias[]): LoadTable {
  const loads = new LoadTable();
  const others = vmas.filter(({ kind }) => kind !== "anonymous");
  const { segments } = planCore(others, rangesIn(others, runs));
  const shown = withAliases(segments, aliases);
  let [row, next] = [0, 0];
  for (const { kind, start, end, prot } of vmas) {
    if (start >= USER_END) continue;
    const last = Number(end);
    if (kind === "anonymous") {
      row = addPages(loads, runs, { row, start: Number(start), end: last, prot: prot.slice(0, 3) });
      continue;
    }
    while (row < runs.count && runs.addressAt(row) < last) row += 1;
    for (let one = shown[next]; one !== undefined && one.address < end; one = shown[next]) {
      loads.add(Number(one.address), Number(one.address) + one.memoryBytes, one);
      next += 1;
    }
  }
  if (row < runs.count) throw new RangeError(`the run at 0x${runs.addressAt(row).toString(16)} is in no VMA`);
  return loads;
}

interface Mapping {
  /** The first run that may lie in it. */
  readonly row: number;
  readonly start: number;
  readonly end: number;
  readonly prot: string;
}

/** The segments of one anonymous mapping; number of the first run behind it. */
function addPages(loads: LoadTable, runs: RunTable, { row, start, end, prot }: Mapping): number {
  let [next, at, offset, fileBytes] = [row, start, DATA_OFFSET, 0];
  for (; next < runs.count && runs.addressAt(next) < end; next += 1) {
    const [address, place, bytes] = [runs.addressAt(next), runs.offsetAt(next), runs.lengthAt(next)];
    if (address < at + fileBytes || address + bytes > end) {
      throw new RangeError(`the run at 0x${address.toString(16)} is not inside its VMA, or not in order`);
    }
    if (fileBytes > 0 && address === at + fileBytes && place === offset + fileBytes) {
      fileBytes += bytes;
      continue;
    }
    loads.add(at, address, { prot, offset, fileBytes });
    [at, offset, fileBytes] = [address, place, bytes];
  }
  loads.add(at, end, { prot, offset, fileBytes });
  return next;
}

/** The runs that lie in these mappings, which are in order. */
function rangesIn(vmas: readonly Vma[], runs: RunTable): StoredRange[] {
  const ranges: StoredRange[] = [];
  let row = 0;
  for (const { start, end } of vmas) {
    while (row < runs.count && runs.addressAt(row) < Number(start)) row += 1;
    for (; row < runs.count && runs.addressAt(row) < Number(end); row += 1) {
      const place = { lengthBytes: runs.lengthAt(row), fileOffset: runs.offsetAt(row) };
      ranges.push({ address: BigInt(runs.addressAt(row)), ...place, sameAsFile: runs.tagAt(row) === 1 });
    }
  }
  return ranges;
}
