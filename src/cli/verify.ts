/** `cr verify <core|job>`: whether a core, or every core of a job, is whole, byte for byte. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { MANIFEST_NAME } from "../core/manifest.js";
import type { CoreOrigin } from "../core/reader.js";
import type { Verdict } from "../core/verify.js";
import { CrError } from "../errors.js";
import { printJson, runVerb, say, write } from "./report.js";
import { formatBytes } from "./size.js";

export function register(program: Command): void {
  program
    .command("verify")
    .description("prove that a core is whole: structure and the checksum of every byte")
    .argument(
      "<core|job>",
      "core or folder written by cr checkpoint, core of gcore or the kernel; or a job, for all its cores",
    )
    .addOption(new Option("--json", "one JSON object on standard output").env("CR_JSON"))
    .action((name: string, options: { json?: boolean }) =>
      runVerb(options, () => verify(name, options.json ?? false)),
    );
}

type Checked = Verdict & { readonly core: string; readonly origin: CoreOrigin; readonly processes?: number };

async function verify(name: string, json: boolean): Promise<void> {
  if (existsSync(name) && (!statSync(name).isDirectory() || existsSync(join(name, MANIFEST_NAME)))) {
    const checked = await check(name);
    if (!checked.ok) throw broken(checked);
    if (json) printJson(checked);
    else write(`${describe(checked)}\n`);
    return;
  }
  await verifyJob(name, json);
}

/** A job by name; every core is checked, also behind a bad one. A path that is not there is no job either. */
async function verifyJob(name: string, json: boolean): Promise<void> {
  const [{ findJob }, { listGenerations }] = await Promise.all([
    import("../store/job.js"),
    import("../store/generation.js"),
  ]);
  if (name.includes("/") || !isJobName(name)) return missing(name);
  const generations = listGenerations(findJob(name));
  if (generations.length === 0) {
    throw new CrError("NO_SUCH_JOB", `verify job ${name}: it has no cores yet`, {
      hint: "wait for its first checkpoint",
    });
  }
  const results: (Checked | { core: string; ok: false; error: CrError })[] = [];
  for (const { path } of generations) results.push(await checkAnyway(path));
  const bad = results.filter(({ ok }) => !ok);
  if (json) printJson({ job: name, ok: bad.length === 0, cores: results.map(plain) });
  else for (const result of results) tell(result);
  if (bad.length > 0) process.exitCode = 1;
}

function isJobName(name: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/.test(name);
}

function missing(path: string): never {
  throw new CrError("CORE_UNREADABLE", `verify ${path}: there is no such core`, {
    hint: "check the path, or name a job of cr watch",
  });
}

async function check(path: string): Promise<Checked> {
  const [{ openCore }, { verifyWithChain }, { checksumsOf }, { unpack }] = await Promise.all([
    import("../core/reader.js"),
    import("../core/verify-chain.js"),
    import("../tracee/frames.js"),
    import("../tracee/unpack.js"),
  ]);
  if (statSync(path).isDirectory()) {
    const { verifyBundle } = await import("../core/verify-bundle.js");
    return { core: path, origin: "recore", ...verifyBundle(path, { checksum: checksumsOf, unpack }) };
  }
  using core = openCore(path, { unpack });
  return { core: path, origin: core.origin, ...verifyWithChain(core, { checksum: checksumsOf, unpack }) };
}

async function checkAnyway(path: string): Promise<Checked | { core: string; ok: false; error: CrError }> {
  try {
    return await check(path);
  } catch (error) {
    if (error instanceof CrError) return { core: path, ok: false, error };
    throw error;
  }
}

function plain(result: Awaited<ReturnType<typeof checkAnyway>>): object {
  if (!("error" in result)) return result;
  const { core, ok, error } = result;
  return { core, ok, problems: [{ code: error.code, message: error.message }] };
}

function tell(result: Awaited<ReturnType<typeof checkAnyway>>): void {
  if ("error" in result) say(`${result.error.code}: ${result.error.message}`);
  else if (result.ok) write(`${describe(result)}\n`);
  else say(`${broken(result).code}: ${broken(result).message}`);
}

function describe({ core, origin, checkedBytes, processes }: Checked): string {
  if (processes !== undefined) {
    return `${core}: whole, ${processes} processes, ${formatBytes(checkedBytes)} checked`;
  }
  if (origin === "recore") return `${core}: whole, ${formatBytes(checkedBytes)} checked`;
  return `${core}: its structure is sound; cores of other tools carry no checksums`;
}

/** The first problem as the message, all of them for --json. */
function broken({ core, problems, checkedBytes }: Checked): CrError {
  const [first, ...more] = problems;
  const message = `${first?.message ?? `verify core ${core}: it is not whole`}${more.length > 0 ? ` (and ${more.length} more)` : ""}`;
  return new CrError(first?.code ?? "CORE_CORRUPT", message, {
    hint: "use an older checkpoint; this one was altered or its disk failed",
    data: { core, ok: false, checkedBytes, problems },
  });
}
