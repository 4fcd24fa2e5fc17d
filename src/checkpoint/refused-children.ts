/** Children of a process that cannot be saved with it: because nobody wants them, or the form has no room for them. */
import { STREAM } from "./bundle.js";
import type { TreeLook } from "./look.js";
import type { Refusal } from "./refusal.js";

/** Refuses children under `tree: false`, in a stream, and of a process (`pid`) that is not the root that was looked at. */
export function refusedChildren(
  pid: number,
  { relatives }: TreeLook,
  { tree = true, output }: { readonly tree?: boolean; readonly output?: string },
): Refusal[] {
  const root = relatives[0]?.pid;
  const children = relatives.filter(({ parent }) => parent === root).map((one) => one.pid);
  const isStream = output === STREAM;
  if ((tree && root === pid && !isStream) || children.length === 0) return [];
  const alone = isStream
    ? "they are saved into a folder, not into a stream"
    : "of a process whose main thread has ended";
  const why = tree ? alone : "without --no-tree they are saved, too";
  return [{ kind: "child", id: "", what: `child processes (${children.join(", ")}), ${why}` }];
}
