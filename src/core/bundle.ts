/**
 * A bundle: the folder of a process tree with its manifest and one core for each member that lives. Opened as a whole;
 * a core that is not the one the manifest speaks of is named.
 */
import { join } from "node:path";
import { CrError } from "../errors.js";
import type { ProcessState } from "../state/process.js";
import type { Tree, TreeMember } from "../state/tree.js";
import { badCore } from "./byte-source.js";
import { readManifest } from "./manifest-read.js";
import type { Unpack } from "./packed.js";
import { readState } from "./read-state.js";
import { type CoreFile, openCore } from "./reader.js";
import { decodeChecksumNote } from "./recore-decode.js";
import { RECORE_NOTES, RECORE_OWNER } from "./recore-notes.js";

/** A member that lives, with its core open. */
export interface LivingMember {
  readonly member: TreeMember;
  readonly core: CoreFile;
  readonly state: ProcessState;
}

export interface Bundle extends Disposable {
  readonly folder: string;
  readonly tree: Tree;
  /** In the order of the manifest: the root first, parents before their children. */
  readonly living: readonly LivingMember[];
}

/**
 * Opens manifest and cores. CORE_UNREADABLE, BAD_CORE, CORE_TRUNCATED, CORE_CORRUPT and FORMAT_VERSION name the file;
 * page data is checked by verify.ts. Disposing closes all cores.
 */
export function openBundle(folder: string, options: { readonly unpack?: Unpack } = {}): Bundle {
  const tree = readManifest(folder);
  const living: LivingMember[] = [];
  const close = () => {
    for (const { core } of living) core.close();
  };
  try {
    for (const member of tree.members) {
      if (member.core === null) continue;
      const core = openCore(join(folder, member.core.file), options);
      try {
        living.push({ member, core, state: checkMember(core, { member, tree }) });
      } catch (error) {
        core.close();
        throw error;
      }
    }
    return { folder, tree, living, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

/** The state in a member's core: BAD_CORE, CORE_CORRUPT when it is not the core that the manifest speaks of. */
export function checkMember(
  core: CoreFile,
  { member, tree }: { readonly member: TreeMember; readonly tree: Tree },
): ProcessState {
  if (member.core !== null) requireSame(core, member.core);
  const state = readState(core);
  requireAgreement(core.path, state, { member, tree });
  return state;
}

/** The very file that was written with the manifest. */
function requireSame(core: CoreFile, recorded: NonNullable<TreeMember["core"]>): void {
  const note = core.notes.find(({ owner, type }) => owner === RECORE_OWNER && type === RECORE_NOTES.CHECKSUM);
  const checksum = note && decodeChecksumNote(note, core.path);
  if (checksum === recorded.checksum && core.sizeBytes === recorded.sizeBytes) return;
  const found = `it has ${core.sizeBytes} bytes and the checksum ${checksum ?? "of no core of ours"}`;
  throw new CrError(
    "CORE_CORRUPT",
    `read core ${core.path}: ${found}, the manifest names ${recorded.sizeBytes} and ${recorded.checksum}`,
    {
      hint: "use an older checkpoint; this file is not the one that was saved with the tree",
      data: { path: core.path },
    },
  );
}

function requireAgreement(
  path: string,
  { process }: ProcessState,
  { member, tree }: { readonly member: TreeMember; readonly tree: Tree },
): void {
  const { pid, parent } = member;
  const facts: readonly (readonly [string, number | null, number])[] = [
    ["pid", process.pid, pid],
    ["group", process.pgid, member.group],
    ["session", process.sid, member.session],
    ["parent", process.ppid, parent === 0 ? process.ppid : parent],
    ["root", process.tree ?? null, tree.root],
  ];
  const wrong = facts.find(([, found, required]) => found !== required);
  if (wrong === undefined) return;
  const [what, found, required] = wrong;
  throw badCore(path, `its ${what} is ${found ?? "none"}, the manifest says ${required}`);
}
