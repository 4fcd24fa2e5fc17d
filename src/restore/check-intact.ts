/** The checksums of a core, all of them, before anything is started. */
import type { CoreFile } from "../core/reader.js";
import { verifyCore } from "../core/verify.js";
import { CrError } from "../errors.js";
import { crc32cRanges } from "../tracee/native.js";

/** CORE_CORRUPT where one does not match: a program must not run on altered memory. */
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
