/** `cr verify <core>`: whether a core is whole, byte for byte. */
import { type Command, Option } from "commander";
import type { Verdict } from "../core/verify.js";
import { CrError } from "../errors.js";
import { printJson, runVerb } from "./report.js";
import { formatBytes } from "./size.js";

export function register(program: Command): void {
  program
    .command("verify")
    .description("prove that a core is whole: structure and the checksum of every byte")
    .argument("<core>", "core written by cr checkpoint, gcore or the kernel")
    .addOption(new Option("--json", "one JSON object on standard output").env("CR_JSON"))
    .action((core: string, options: { json?: boolean }) =>
      runVerb(options, () => verify(core, options.json ?? false)),
    );
}

async function verify(path: string, json: boolean): Promise<void> {
  const [{ openCore }, { verifyCore }, { crc32cRanges }] = await Promise.all([
    import("../core/reader.js"),
    import("../core/verify.js"),
    import("../tracee/native.js"),
  ]);
  using core = openCore(path);
  const verdict = verifyCore(core, crc32cRanges);
  if (!verdict.ok) throw broken(path, verdict);
  if (json) printJson({ core: path, origin: core.origin, ...verdict });
  else if (core.origin === "recore") {
    process.stdout.write(`${path}: whole, ${formatBytes(verdict.checkedBytes)} checked\n`);
  } else {
    process.stdout.write(`${path}: its structure is sound; cores of other tools carry no checksums\n`);
  }
}

/** The first problem as the message, all of them for --json. */
function broken(path: string, { problems, checkedBytes }: Verdict): CrError {
  const [first, ...more] = problems;
  const message = `${first?.message ?? `verify core ${path}: it is not whole`}${more.length > 0 ? ` (and ${more.length} more)` : ""}`;
  return new CrError(first?.code ?? "CORE_CORRUPT", message, {
    hint: "use an older checkpoint; this one was altered or its disk failed",
    data: { core: path, ok: false, checkedBytes, problems },
  });
}
