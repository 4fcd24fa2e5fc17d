/**
 * Proves a bundle: the manifest, that the cores beside it are those it names, and every byte of each. All problems are
 * told, each with the file that it is in.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { CrError } from "../errors.js";
import type { Tree, TreeMember } from "../state/tree.js";
import { checkMember } from "./bundle.js";
import { MANIFEST_NAME } from "./manifest.js";
import { readManifest } from "./manifest-read.js";
import type { Unpack } from "./packed.js";
import { openCore } from "./reader.js";
import { type Checksum, type Problem, type Verdict, verifyCore } from "./verify.js";

export interface BundleVerdict extends Verdict {
  readonly processes: number;
}

/** Checks a bundle as `verifyCore` does a core. Throws for a folder that cannot be read. */
export function verifyBundle(
  folder: string,
  native: { readonly checksum: Checksum; readonly unpack: Unpack },
): BundleVerdict {
  let tree: Tree;
  try {
    tree = readManifest(folder);
  } catch (error) {
    return { ok: false, checkedBytes: 0, processes: 0, problems: [problemOf(error)] };
  }
  const verdicts = tree.members.map((member) => verifyMember({ folder, tree, ...native }, member));
  const problems = [...verdicts.flatMap((verdict) => verdict.problems), ...strangers(folder, tree)];
  const checkedBytes = verdicts.reduce((sum, verdict) => sum + verdict.checkedBytes, 0);
  return { ok: problems.length === 0, checkedBytes, processes: tree.members.length, problems };
}

interface Checking {
  readonly folder: string;
  readonly tree: Tree;
  readonly checksum: Checksum;
  readonly unpack: Unpack;
}

function verifyMember(
  { folder, tree, checksum, unpack }: Checking,
  member: TreeMember,
): Pick<Verdict, "checkedBytes" | "problems"> {
  if (member.core === null) return { checkedBytes: 0, problems: [] };
  try {
    using core = openCore(join(folder, member.core.file), { unpack });
    checkMember(core, { member, tree });
    return verifyCore(core, checksum);
  } catch (error) {
    return { checkedBytes: 0, problems: [problemOf(error)] };
  }
}

function problemOf(error: unknown): Problem {
  if (error instanceof CrError) return { code: error.code, message: error.message };
  throw error;
}

/** Files that the manifest does not know. */
function strangers(folder: string, { members }: Tree): Problem[] {
  const known = new Set([MANIFEST_NAME, ...members.map(({ core }) => core?.file)]);
  return readdirSync(folder)
    .filter((name) => !known.has(name) && /^core\.\d+$/.test(name))
    .map((name) => ({
      code: "BAD_CORE",
      message: `verify ${join(folder, name)}: the manifest names no such core`,
    }));
}
