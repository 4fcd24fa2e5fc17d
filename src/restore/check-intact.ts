/** A core of ours is proved whole before anything is started. Its structure has been checked when it was opened. */
import { fstatSync } from "node:fs";
import { contentsOf } from "../core/contents-of.js";
import { readState } from "../core/read-state.js";
import type { CoreFile } from "../core/reader.js";
import { verifyCore } from "../core/verify.js";
import { CrError } from "../errors.js";
import type { ProcessState } from "../state/process.js";
import { checksumsOf } from "../tracee/frames.js";
import { checkOwner } from "./check-owner.js";
import { onlyFilled } from "./fill.js";

/**
 * Compares every checksum but those that filling the memory compares (fill.ts), because a program must not run on altered
 * memory: CORE_CORRUPT. Afterwards `core.fd` holds the data that is not only filled in.
 */
export function requireIntact(core: CoreFile, state: ProcessState): void {
  const { vmas, runs, files } = state;
  const except = onlyFilled(vmas, runs);
  const contents = contentsOf(files).flatMap(({ content }) => (content === null ? [] : [content]));
  core.need([...runs.filter((run) => !except(run)), ...contents]);
  const { ok, problems } = verifyCore(core, checksumsOf, { except, state });
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

/** The state in a core of a rightful owner, proved. CORE_NOT_OWNED, BAD_CORE, CORE_CORRUPT, …. */
export function readWhole(core: CoreFile, { trust = false }: { readonly trust?: boolean }): ProcessState {
  checkOwner({ path: core.path, stat: fstatSync(core.fileFd) }, { trust });
  const state = readState(core);
  if (core.origin === "recore") requireIntact(core, state);
  return state;
}
