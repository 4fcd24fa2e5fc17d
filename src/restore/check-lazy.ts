/** Who cannot have `--lazy` (lazy.ts), told before anything is opened. */
import { CrError } from "../errors.js";
import { hasCapability } from "../host/capabilities.js";

export interface LazyRequest {
  readonly path: string;
  /** A bundle of several processes. */
  readonly isTree: boolean;
  readonly pid: "keep" | "new" | "ns" | undefined;
  /** It would be restored by a process with fewer rights: that of the core's owner. */
  readonly isApart: boolean;
}

/** UNSUPPORTED_STATE, NOT_PERMITTED. userfaultfd(2) tells what the right is needed for. */
export function checkLazy({ path, isTree, pid, isApart }: LazyRequest): void {
  const what = `restore ${path} with --lazy`;
  if (!hasCapability("CAP_SYS_PTRACE")) {
    const why =
      "without CAP_SYS_PTRACE a read(2) into memory that is not there yet fails and forks are not told";
    throw new CrError("NOT_PERMITTED", `${what}: ${why}`, { hint: "run cr as root, or leave out --lazy" });
  }
  if (isTree) {
    throw new CrError("UNSUPPORTED_STATE", `${what}: it is a process tree, a lone process is required`, {
      hint: "leave out --lazy",
    });
  }
  if (pid === "ns") {
    throw new CrError("UNSUPPORTED_STATE", `${what}: not in a pid namespace of its own`, {
      hint: "leave out --lazy or --pid ns",
    });
  }
  if (!isApart) return;
  const why = "it belongs to another user, with whose rights it is restored; root's are required";
  throw new CrError("NOT_PERMITTED", `${what}: ${why}`, {
    hint: "leave out --lazy, or add --trust if you trust the core",
  });
}
