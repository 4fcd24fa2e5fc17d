/** Files that the cores of a process tree hold whole, put back for all members or for none. */
import type { LivingMember } from "../core/bundle.js";
import type { FileState } from "../state/fd.js";
import type { FilesPolicy } from "./regular-file.js";
import { type PutBack, putSnapshotsBack } from "./snapshots.js";

export interface AllPutBack extends Pick<PutBack, "softErrors" | "keep">, Disposable {
  readonly files: readonly FileState[];
}

/** As `putSnapshotsBack` for each, in order; disposing undoes all unless they are kept. */
export function putAllBack(
  living: readonly LivingMember[],
  { policy, folder }: { readonly policy: FilesPolicy; readonly folder: string },
): AllPutBack {
  const done: PutBack[] = [];
  const undo = () => {
    for (const one of done.splice(0).reverse()) one[Symbol.dispose]();
  };
  try {
    for (const { core, state } of living) {
      done.push(putSnapshotsBack(state.files, { policy, coreFd: core.fd, corePath: folder }));
    }
  } catch (error) {
    undo();
    throw error;
  }
  return {
    files: done.map(({ files }) => files),
    softErrors: done.flatMap(({ softErrors }) => softErrors),
    keep: () => {
      for (const one of done) one.keep();
    },
    [Symbol.dispose]: undo,
  };
}
