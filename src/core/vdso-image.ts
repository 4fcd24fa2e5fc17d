/**
 * The bytes of a vdso (vdso(7)): the kernel's shared object, mapped whole into every process. Which functions it
 * offers, and how much room each has. It may come out of a core, so nothing in it is trusted.
 */
const SHT_DYNSYM = 11;
const SHT_STRTAB = 3;
const PT_LOAD = 1;
const STT_FUNC = 2;
const SHN_UNDEF = 0;
const SYMBOL_BYTES = 24;
const SECTION_BYTES = 64;
const PROGRAM_BYTES = 56;
/** A vdso has two or three pages. */
const IMAGE_BYTES_MAX = 1 << 20;

export interface VdsoFunction {
  /** Every name of it: `__vdso_time`, `time`. */
  readonly names: readonly string[];
  /** From the start of the image, in bytes. */
  readonly offset: number;
  /** Bytes up to the next function, or the end of the image. */
  readonly roomBytes: number;
}

/** The functions in order of place; null when the bytes are no ELF object with dynamic symbols. */
export function vdsoFunctions(image: Buffer): readonly VdsoFunction[] | null {
  try {
    return image.length > IMAGE_BYTES_MAX ? null : readFunctions(image);
  } catch (error) {
    // Node's own, for reading behind the end.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function readFunctions(image: Buffer): VdsoFunction[] | null {
  if (!image.subarray(0, 5).equals(Buffer.from("\x7fELF\x02", "latin1"))) return null;
  const sections = readSections(image);
  const symbols = sections.find(({ type }) => type === SHT_DYNSYM);
  const strings = symbols && sections[symbols.link];
  if (!symbols || strings?.type !== SHT_STRTAB) return null;
  const base = linkedAt(image);
  const found = new Map<number, string[]>();
  for (let at = symbols.offset; at + SYMBOL_BYTES <= symbols.offset + symbols.sizeBytes; at += SYMBOL_BYTES) {
    const isFunction = (image.readUInt8(at + 4) & 0xf) === STT_FUNC;
    if (!isFunction || image.readUInt16LE(at + 6) === SHN_UNDEF) continue;
    const offset = Number(image.readBigUInt64LE(at + 8) - base);
    if (offset < 0 || offset >= image.length) return null;
    const name = textAt(image, strings.offset + image.readUInt32LE(at));
    found.set(offset, [...(found.get(offset) ?? []), name]);
  }
  const offsets = [...found.keys()].sort((a, b) => a - b);
  return offsets.map((offset, index) => ({
    names: found.get(offset) ?? [],
    offset,
    roomBytes: (offsets[index + 1] ?? image.length) - offset,
  }));
}

function readSections(image: Buffer) {
  const start = Number(image.readBigUInt64LE(40));
  return Array.from({ length: image.readUInt16LE(60) }, (_, index) => {
    const at = start + index * SECTION_BYTES;
    return {
      type: image.readUInt32LE(at + 4),
      offset: Number(image.readBigUInt64LE(at + 24)),
      sizeBytes: Number(image.readBigUInt64LE(at + 32)),
      link: image.readUInt32LE(at + 40),
    };
  });
}

/** Old kernels linked it to an address far above its place. */
function linkedAt(image: Buffer): bigint {
  const start = Number(image.readBigUInt64LE(32));
  for (let index = 0; index < image.readUInt16LE(56); index += 1) {
    const at = start + index * PROGRAM_BYTES;
    if (image.readUInt32LE(at) === PT_LOAD) return image.readBigUInt64LE(at + 16);
  }
  return 0n;
}

function textAt(image: Buffer, at: number): string {
  const end = image.indexOf(0, at);
  if (at >= image.length || end < 0) throw new RangeError(`a name at ${at} has no end`);
  return image.toString("latin1", at, end);
}
