/** Proves what a delta inherits: every ancestor is the one that was meant, and every inherited page has its checksum. */
import { CrError } from "../errors.js";
import { hex } from "../state/address.js";
import { openChain } from "./chain.js";
import type { Unpack } from "./packed.js";
import { readState } from "./read-state.js";
import type { CoreFile } from "./reader.js";
import { type Checksum, type Problem, type Verdict, verifyCore } from "./verify.js";

/** `verifyCore`, and of a delta all that it builds on as far as it needs it. Never throws for what is wrong in cores. */
export function verifyWithChain(
  core: CoreFile,
  { checksum, unpack }: { readonly checksum: Checksum; readonly unpack: Unpack },
): Verdict {
  const own = verifyCore(core, checksum);
  if (!own.ok || core.origin !== "recore") return own;
  try {
    using chain = openChain(core.path, readState(core), { unpack });
    const problems: Problem[] = [];
    let checkedBytes = own.checkedBytes;
    for (const { core: ancestor, runs } of chain.heritage) {
      const found = runs.length === 0 ? [] : checksum(ancestor.pages, runs);
      const wrong = runs.filter(({ crc32c }, index) => crc32c !== found[index]);
      problems.push(...wrong.map(({ address }) => altered(core.path, ancestor.path, address)));
      checkedBytes += runs.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    }
    return { ok: problems.length === 0, checkedBytes, problems };
  } catch (error) {
    if (!(error instanceof CrError)) throw error;
    return { ok: false, checkedBytes: 0, problems: [{ code: error.code, message: error.message }] };
  }
}

function altered(path: string, ancestor: string, address: bigint): Problem {
  const what = `the pages at ${hex(address)}, which it inherits from ${ancestor}, do not match their checksum`;
  return { code: "CORE_CORRUPT", message: `verify core ${path}: ${what}` };
}
