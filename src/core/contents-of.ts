/** What stands in a core besides memory: files behind mappings and descriptors, segments, snapshots of files. */
import type { FileDescription, FileState } from "../state/fd.js";

export type Contained = Pick<FileDescription, "content" | "path">;

/** All of it, with and without bytes in the core. */
export function contentsOf(files: FileState): readonly Contained[] {
  const { mapped = [], segments = [], snapshots = [] } = files;
  return [
    ...mapped.map(({ file }) => file),
    ...segments.map(({ id, content }) => ({ path: `the segment ${id}`, content })),
    ...files.descriptions,
    ...snapshots,
  ];
}
