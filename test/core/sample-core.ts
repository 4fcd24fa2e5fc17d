/** A small core with something of every noun, written the way a checkpoint writes one; tests change parts of it. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32c } from "../../src/core/crc32c.js";
import { planCore, type StoredRange } from "../../src/core/layout.js";
import type { Checksum } from "../../src/core/verify.js";
import { writeCoreTail } from "../../src/core/writer.js";
import { PAGE_BYTES } from "../../src/state/address.js";
import type { ProcessState } from "../../src/state/process.js";
import type { Vma } from "../../src/state/vma.js";
import { processState, threadState } from "../restore/process-state.js";

/** Runs `act` with a folder that is gone afterwards. */
export async function withFolder<T>(act: (folder: string) => T | Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "recore-core-"));
  try {
    return await act(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function vma(start: bigint, pages: number, changes: Partial<Vma> = {}): Vma {
  return {
    start,
    end: start + BigInt(pages * PAGE_BYTES),
    prot: "rw-p",
    offset: 0n,
    path: "",
    deleted: false,
    dev: "00:00",
    ino: 0n,
    flags: ["rd", "wr"],
    kind: "anonymous",
    file: null,
    guards: [],
    ...changes,
  };
}

const siginfo = (signal: number) => {
  const bytes = Buffer.alloc(128);
  bytes.writeInt32LE(signal);
  return bytes;
};

const EXE = {
  kind: "file",
  path: "/bin/true",
  dev: "fe:00",
  ino: 7n,
  file: { sizeBytes: 4, mtimeNs: 5n, buildId: "ab" },
} as const;

export const SAMPLE_VMAS: readonly Vma[] = [
  vma(0x40_0000n, 4, { ...EXE, prot: "r-xp" }),
  vma(0x60_0000n, 600, { path: "[heap]", guards: [[0x60_5000n, 0x60_6000n]] }),
  vma(0x7fff_0000_0000n, 8, { path: "[stack]", flags: ["gd"] }),
  vma(0xffff_ffff_ff60_0000n, 1, { kind: "special", path: "[vsyscall]", prot: "--xp" }),
];

export const SAMPLE_STORED: readonly StoredRange[] = [
  { address: 0x40_0000n, lengthBytes: PAGE_BYTES, sameAsFile: true },
  { address: 0x60_0000n, lengthBytes: 300 * PAGE_BYTES, sameAsFile: false },
  { address: 0x7fff_0000_6000n, lengthBytes: 2 * PAGE_BYTES, sameAsFile: false },
];

/** Bytes of a deleted file in the sample; not a whole page, so that filling follows. */
export const SAMPLE_CONTENT = Buffer.from("what a deleted file held ".repeat(100));

/** The sample's state; runs and the place of the content are put in by `writeSample`. */
export function sampleState(changes: Partial<ProcessState> = {}): ProcessState {
  const xstate = Buffer.alloc(832, 1);
  const first = threadState({
    registers: Buffer.alloc(216, 3),
    fpregs: Buffer.alloc(512, 4),
    xstate,
    sigmask: 0x8000_0000_0000_0001n,
    pending: [siginfo(10)],
    rseq: { address: 0x1000n, sizeBytes: 32, signature: 0x53053053, flags: 0 },
  });
  const second = threadState({ tid: 101, comm: "löper", fpregs: Buffer.alloc(512, 5), xstate });
  return processState({
    threads: [first, second],
    vmas: SAMPLE_VMAS,
    auxv: Buffer.alloc(32, 0),
    signals: {
      actions: [{ signal: 2, handler: 0x40_1000n, flags: 4n, restorer: 0x40_2000n, mask: 1n }],
      pending: [siginfo(12)],
    },
    timers: {
      itimers: [{ which: 0, valueUs: 5n, intervalUs: 0n }],
      posix: [
        {
          id: 3,
          clock: 1,
          signal: 34,
          value: 7n,
          notify: "signal",
          tid: null,
          leftNs: 9n,
          intervalNs: 0n,
        },
      ],
    },
    limits: [{ resource: 3, soft: 8_388_608n, hard: 0xffff_ffff_ffff_ffffn }],
    softErrors: [{ kind: "session", id: "", message: "a session of another" }],
    ...changes,
  });
}

/** Writes the sample core; page N of the data is filled with the byte N + 1. Returns the state as written. */
export function writeSample(path: string, changes: Partial<ProcessState> = {}): ProcessState {
  const fd = openSync(path, "w+", 0o600);
  try {
    const layout = planCore(SAMPLE_VMAS, SAMPLE_STORED);
    const runs = layout.runs.map((run) => {
      const bytes = Buffer.alloc(run.lengthBytes);
      for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
        bytes.fill((run.fileOffset + at) / PAGE_BYTES, at, at + PAGE_BYTES);
      }
      writeSync(fd, bytes, 0, bytes.length, run.fileOffset);
      return { ...run, crc32c: crc32c(bytes) };
    });
    writeSync(fd, SAMPLE_CONTENT, 0, SAMPLE_CONTENT.length, layout.extraOffset);
    const content = {
      fileOffset: layout.extraOffset,
      lengthBytes: SAMPLE_CONTENT.length,
      crc32c: [crc32c(SAMPLE_CONTENT)],
    };
    const state = { ...sampleState(changes), runs, files: sampleFiles(content) };
    writeCoreTail(fd, { layout, state, tailOffset: layout.extraOffset + PAGE_BYTES });
    return state;
  } finally {
    closeSync(fd);
  }
}

function sampleFiles(content: {
  fileOffset: number;
  lengthBytes: number;
  crc32c: number[];
}): ProcessState["files"] {
  const identity = {
    dev: "0:1",
    ino: 9n,
    mode: 0o100644,
    rdev: "0:0",
    uid: 0,
    gid: 0,
    sizeBytes: 1,
    mtimeNs: 2n,
  };
  const open = { flags: 2, position: 17n, ...identity };
  return {
    descriptions: [
      {
        id: 0,
        kind: "terminal",
        path: "/dev/pts/0",
        deleted: false,
        ...open,
        content: null,
        watches: null,
        object: null,
        owner: null,
        locks: [],
      },
      {
        id: 1,
        kind: "regular",
        path: "/tmp/gone",
        deleted: true,
        ...open,
        content,
        watches: null,
        object: null,
        owner: null,
        locks: [],
      },
    ],
    descriptors: [
      { fd: 0, description: 0, cloexec: false },
      { fd: 1, description: 0, cloexec: false },
      { fd: 7, description: 1, cloexec: true },
    ],
  };
}

/** Checksums through JavaScript, for tests of what does the comparing. */
export const slowChecksum: Checksum = ({ fd }, ranges) => {
  const file = readFileSync(`/proc/self/fd/${fd}`);
  return ranges.map(({ fileOffset, lengthBytes }) =>
    crc32c(file.subarray(fileOffset, fileOffset + lengthBytes)),
  );
};

/** A copy of the bytes with one bit turned over. */
export function flipped(bytes: Buffer, at: number, bit = 0): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ (1 << bit);
  return copy;
}

/** Writes the bytes to a file of the folder and gives its path. */
export function writeCore(folder: string, bytes: Buffer): string {
  const path = join(folder, "core");
  writeFileSync(path, bytes, { mode: 0o600 });
  return path;
}
