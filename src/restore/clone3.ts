/** clone3(2) as processes and threads of a newborn are made by: with the ids that they are to have. */

import type { RemoteCall } from "../tracee/remote.js";
import { packInts } from "../tracee/tids.js";
import type { Arguments } from "./arguments.js";

/** struct clone_args up to set_tid_size. */
const CLONE_ARGS_BYTES = 80;

export interface Clone {
  readonly flags: bigint;
  /** What tells of its end; none for a thread. */
  readonly exitSignal?: number;
  /** Its number in each pid namespace that it is in, innermost first. */
  readonly ids: readonly number[];
}

/** The call, with what it points to among the arguments. */
export function clone3(args: Arguments, { flags, exitSignal = 0, ids }: Clone): RemoteCall {
  const wanted = args.put(packInts(ids));
  const [signal, levels] = [BigInt(exitSignal), BigInt(ids.length)];
  // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size
  const clone = args.words(flags, 0n, 0n, 0n, signal, 0n, 0n, 0n, wanted, levels);
  return { name: "clone3", args: [clone, CLONE_ARGS_BYTES] };
}
