/** A core of ours is proved whole before anything is started. Its structure has been checked when it was opened. */
import type { CoreFile } from "../core/reader.js";
import { verifyCore } from "../core/verify.js";
import { CrError } from "../errors.js";
import { crc32cRanges } from "../tracee/native.js";

/** Compares every checksum, because a program must not run on altered memory: CORE_CORRUPT. */
export function requireIntact(core: CoreFile): void {
  const { ok, problems } = verifyCore(core, crc32cRanges);
  if (ok) return;
  throw new CrError(
    "CORE_CORRUPT",
    `cannot restore ${core.path}: ${problems[0]?.message ?? "a checksum does not match"}`,
    {
      hint: "restore an earlier checkpoint; cr verify tells which ones are good",
      data: { problems },
    },
  );
}
