/**
 * What the segments of a core must be for the core to make sense: in order, apart, in user space, on page
 * boundaries, with their bytes inside the file. Knows nothing of what they hold.
 */
import { hex, PAGE_BYTES, USER_END } from "../state/address.js";
import { type ByteSource, badCore, requireBytes } from "./byte-source.js";
import type { Segment } from "./elf.js";

/** The kernel's own page that every process sees and no process can map (`[vsyscall]` in maps). */
export const VSYSCALL_ADDRESS = 0xffff_ffff_ff60_0000n;

const PAGE_MASK = BigInt(PAGE_BYTES - 1);

/** Refuses segments that contradict one another (BAD_CORE) or reach past the end (CORE_TRUNCATED). */
export function checkSegments(source: ByteSource, segments: readonly Segment[]): void {
  let end = 0n;
  for (const [index, segment] of segments.entries()) {
    if (segment.kind === "other") continue;
    const name = `segment ${index} (${segment.kind.toUpperCase()})`;
    requireBytes(source, { offset: segment.offset, lengthBytes: segment.fileBytes, what: name });
    if (segment.kind === "note") continue;
    checkPlace(source.path, segment, name);
    if (segment.address < end) {
      throw badCore(
        source.path,
        `${name} starts at ${hex(segment.address)}, the one before it ends at ${hex(end)}, segments in order and apart are required`,
      );
    }
    end = segment.address + BigInt(segment.memoryBytes);
  }
}

function checkPlace(path: string, segment: Segment, name: string): void {
  const { address, memoryBytes, fileBytes } = segment;
  if ((address & PAGE_MASK) !== 0n || memoryBytes % PAGE_BYTES !== 0) {
    throw badCore(path, `${name} at ${hex(address)} has ${memoryBytes} bytes, whole pages are required`);
  }
  if (fileBytes > memoryBytes) {
    throw badCore(path, `${name} at ${hex(address)} has more bytes in the file than in memory`);
  }
  if (address === VSYSCALL_ADDRESS && memoryBytes === PAGE_BYTES) return;
  if (address + BigInt(memoryBytes) > USER_END) {
    throw badCore(
      path,
      `${name} at ${hex(address)} with ${memoryBytes} bytes reaches into the kernel's half, it has to end at or below ${hex(USER_END)}`,
    );
  }
}
