/** A copy of a good core that says something else and is whole all the same: every checksum fits. */
import { closeSync, copyFileSync, openSync, readSync, writeSync } from "node:fs";
import { crc32c } from "../../src/core/crc32c.js";
import { tailOffsetOf } from "../../src/core/header-checksum.js";
import { planCore } from "../../src/core/layout.js";
import { readState } from "../../src/core/read-state.js";
import { openCore } from "../../src/core/reader.js";
import { writeCoreTail } from "../../src/core/writer.js";
import type { ProcessState } from "../../src/state/process.js";

export interface Alteration {
  readonly state?: (state: ProcessState) => ProcessState;
  /** Changes the bytes of a stored run of pages in place. */
  readonly pages?: (bytes: Buffer, address: bigint, state: ProcessState) => void;
}

export function alterCore(from: string, to: string, { state: change, pages }: Alteration): void {
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
    writeCoreTail(fd, { layout, state: { ...(change?.(state) ?? state), runs }, tailOffset });
  } finally {
    closeSync(fd);
  }
}
