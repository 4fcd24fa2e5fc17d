/** A copy of a good core, or bundle, that says something else and is whole all the same: every checksum fits. */
import { closeSync, copyFileSync, mkdirSync, openSync, readSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { crc32c } from "../../src/core/crc32c.js";
import { tailOffsetOf } from "../../src/core/header-checksum.js";
import { planCore } from "../../src/core/layout.js";
import { encodeManifest, MANIFEST_NAME } from "../../src/core/manifest.js";
import { readManifest } from "../../src/core/manifest-read.js";
import { readState } from "../../src/core/read-state.js";
import { openCore } from "../../src/core/reader.js";
import { type WrittenCore, writeCoreTail } from "../../src/core/writer.js";
import type { ProcessState } from "../../src/state/process.js";

export interface Alteration {
  readonly state?: (state: ProcessState) => ProcessState;
  /** Changes the bytes of a stored run of pages in place. */
  readonly pages?: (bytes: Buffer, address: bigint, state: ProcessState) => void;
}

export function alterCore(from: string, to: string, { state: change, pages }: Alteration): WrittenCore {
  using core = openCore(from);
  const state = readState(core);
  copyFileSync(from, to);
  const fd = openSync(to, "r+");
  try {
    const runs = state.runs.map((run) => {
      const bytes = Buffer.alloc(run.lengthBytes);
      readSync(fd, bytes, 0, bytes.length, run.fileOffset);
      pages?.(bytes, run.address, state);
      writeSync(fd, bytes, 0, bytes.length, run.fileOffset);
      return { ...run, crc32c: crc32c(bytes) };
    });
    const layout = planCore(state.vmas, runs);
    const tailOffset = tailOffsetOf(from, core.segments);
    return writeCoreTail(fd, { layout, state: { ...(change?.(state) ?? state), runs }, tailOffset });
  } finally {
    closeSync(fd);
  }
}

/** The same for all cores of a bundle, into a new folder. */
export function alterBundle(from: string, to: string, alteration: Alteration): void {
  mkdirSync(to, { mode: 0o700 });
  const tree = readManifest(from);
  const members = tree.members.map((member) => {
    if (member.core === null) return member;
    const { file } = member.core;
    return { ...member, core: { file, ...alterCore(join(from, file), join(to, file), alteration) } };
  });
  writeFileSync(join(to, MANIFEST_NAME), encodeManifest({ ...tree, members }), { mode: 0o600 });
}
