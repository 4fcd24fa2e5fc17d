/**
 * The mappings of a process as the kernel tells them, told apart from how it merges neighbours: what a restore must
 * bring back exactly. Compared from outside, so that every fixture is looked at, whatever it checks itself.
 */
import { readFileSync } from "node:fs";
import { expect } from "vitest";

interface Mapping {
  readonly start: bigint;
  end: bigint;
  readonly permissions: string;
  readonly offset: bigint;
  readonly device: string;
  readonly inode: string;
  readonly name: string;
  flags: string;
  key: string;
}

/** Mappings of a process that stands still, in order of address. */
export interface Mappings {
  /** Every address where a mapping begins or ends. */
  readonly bounds: ReadonlySet<bigint>;
  /** Lines of smaps: range, permissions, offset, device and inode, name, VmFlags, protection key. */
  readonly lines: readonly string[];
}

const HEADER = /^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) (\S+) (\d+) *(.*)$/s;

/** Reads them; neighbours that differ in nothing count as one, because the kernel merges them when it likes. */
export function mappingsOf(pid: number): Mappings {
  const all: Mapping[] = [];
  for (const line of readFileSync(`/proc/${pid}/smaps`, "latin1").split("\n")) {
    const header = HEADER.exec(line);
    const last = all.at(-1);
    if (header) all.push(mappingOf(header));
    else if (last && line.startsWith("VmFlags:")) last.flags = line.slice(8).trim();
    else if (last && line.startsWith("ProtectionKey:")) last.key = line.slice(14).trim();
  }
  const bounds = new Set(all.flatMap(({ start, end }) => [start, end]));
  return { bounds, lines: merged(all).map(describeMapping) };
}

/** Expects the restored process to have exactly the mappings it had, and none of them cut in pieces. */
export function expectSameMappings(is: Mappings, was: Mappings): void {
  expect(is.lines).toEqual(was.lines);
  // Two where one was would fail mremap(2) across them. The low end of a stack may have moved.
  const cuts = [...is.bounds].filter((at) => !was.bounds.has(at));
  expect(cuts.map((at) => at.toString(16)).slice(1)).toEqual([]);
}

function mappingOf(header: RegExpExecArray): Mapping {
  const [, start = "", end = "", permissions = "", offset = "", device = "", inode = "", name = ""] = header;
  // Shared anonymous memory and deleted files are made again: as a new inode, under another name where theirs is taken.
  const isDeleted = name.endsWith(" (deleted)");
  const isKept = name.startsWith("/") && !isDeleted;
  return {
    start: BigInt(`0x${start}`),
    end: BigInt(`0x${end}`),
    permissions,
    offset: BigInt(`0x${offset}`),
    device: isKept ? device : "",
    inode: isKept ? inode : "",
    name: isDeleted && !name.startsWith("/memfd:") ? "(deleted)" : name,
    flags: "",
    key: "",
  };
}

function merged(all: readonly Mapping[]): Mapping[] {
  const joined: Mapping[] = [];
  for (const mapping of all) {
    const last = joined.at(-1);
    if (last && joins(last, mapping)) last.end = mapping.end;
    else joined.push({ ...mapping });
  }
  return joined;
}

function joins(low: Mapping, high: Mapping): boolean {
  const follows = /^[/(]/.test(low.name) ? low.offset + (low.end - low.start) === high.offset : true;
  const alike = (["permissions", "device", "inode", "name", "flags", "key"] as const).every(
    (part) => low[part] === high[part],
  );
  return low.end === high.start && alike && follows;
}

/** A stack may have grown, as by a deeper call: cr borrows memory below it when it has no room left. */
function describeMapping(mapping: Mapping): string {
  const { start, end, permissions, offset, device, inode, name, flags, key } = mapping;
  const from = name === "[stack]" ? "…" : start.toString(16);
  return `${from}-${end.toString(16)} ${permissions} ${offset.toString(16)} ${device} ${inode} ${name} {${flags}} ${key}`;
}
