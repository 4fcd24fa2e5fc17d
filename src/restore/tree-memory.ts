/**
 * Anonymous memory that several members of a tree share (state/tree.ts, `memory`): one object each, open in cr and
 * mapped by all through a descriptor. What is in it comes from the cores, like all memory.
 */
import { closeSync } from "node:fs";
import { CrError } from "../errors.js";
import type { Tree } from "../state/tree.js";
import type { Vma } from "../state/vma.js";
import { makeSharedMemory } from "../tracee/shared-memory.js";

export interface SharedMemory extends Disposable {
  /** Descriptor in cr of the object behind a mapping; undefined for memory of one member alone. */
  of(vma: Vma): number | undefined;
}

/** Makes all objects. LIMIT_TOO_LOW when there is no room for one. Disposing closes cr's descriptors. */
export function openSharedMemory({ memory }: Pick<Tree, "memory">): SharedMemory {
  const byKey = new Map<string, number>();
  const close = () => {
    for (const fd of byKey.values()) closeSync(fd);
    byKey.clear();
  };
  for (const { dev, ino, sizeBytes, members } of memory) {
    try {
      byKey.set(`${dev} ${ino}`, makeSharedMemory(sizeBytes));
    } catch (cause) {
      close();
      const message = `make ${sizeBytes} bytes of memory that processes ${members.join(", ")} share`;
      throw new CrError("LIMIT_TOO_LOW", message, { hint: "free memory, or raise ulimit -v", cause });
    }
  }
  return {
    of: ({ kind, dev, ino }) => (kind === "shared-anonymous" ? byKey.get(`${dev} ${ino}`) : undefined),
    [Symbol.dispose]: close,
  };
}
