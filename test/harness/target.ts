/**
 * Targets: programs started by fixtures/launch as the children of a small nanny, so that no Node process reaps
 * or waits for them, with their output in files. How they ended is what the nanny wrote down.
 */
import { execFile } from "node:child_process";
import { chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { NOBODY } from "./cr.js";
import { eventually, type Patience } from "./eventually.js";
import { type Identity, isAlive, statOf } from "./process.js";

const FIXTURES = fileURLToPath(new URL("../../fixtures/bin/", import.meta.url));
const run = promisify(execFile);

/** Path of a fixture's program, such as `counter` or `counter.musl`. */
export function fixture(name: string): string {
  return join(FIXTURES, name);
}

export interface LaunchOptions {
  /** A file, or a pipe or terminal that is fed with what is written into the FIFO at `path`; default /dev/null. */
  readonly stdin?: { readonly kind: "file" | "pipe" | "terminal"; readonly path: string };
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly asNobody?: boolean;
}

export interface Target extends Identity {
  /** Its own folder; `FOLDER` among the arguments stands for it. */
  readonly folder: string;
  /** File of its standard output. */
  readonly outputFile: string;
  output(): string;
  /** Waits until its output holds the text. */
  says(text: string, patience?: Patience): Promise<void>;
  /** Lets a fixture go on to its third act. */
  go(): void;
  /** Waits for its end: `exited N` or `killed N`. Says how the original ended, not one restored from it. */
  ended(patience?: Patience): Promise<string>;
}

const STDIN_OPTION = { file: "-i", pipe: "-p", terminal: "-t" } as const;

/** Starts `argv` with `folder` as its folder. */
export async function launch(
  folder: string,
  argv: readonly string[],
  options: LaunchOptions,
): Promise<Target> {
  mkdirSync(folder);
  if (options.asNobody) chownSync(folder, NOBODY, NOBODY);
  const outputFile = join(folder, "stdout");
  const stdin = options.stdin ? [STDIN_OPTION[options.stdin.kind], options.stdin.path] : [];
  const files = ["-o", outputFile, "-e", join(folder, "stderr"), "-s", join(folder, "status"), ...stdin];
  const program = argv.map((argument) => argument.replace("FOLDER", folder));
  const identity = options.asNobody ? { uid: NOBODY, gid: NOBODY } : {};
  const { stdout } = await run(fixture("launch"), [...files, "--", ...program], {
    env: { PATH: process.env.PATH, LC_ALL: "C", ...options.env },
    cwd: options.cwd ?? folder,
    ...identity,
  });
  return describeTarget(Number(stdout), folder, outputFile);
}

function describeTarget(pid: number, folder: string, outputFile: string): Target {
  const output = () => read(outputFile);
  // It may have ended by now; then this names no process of the past or future.
  const identity = { pid, startTicks: statOf(pid)?.startTicks ?? "ended" };
  return {
    ...identity,
    folder,
    outputFile,
    output,
    says: async (text, patience) => {
      await eventually(
        () => `${folder} says ${text}; it said:\n${output()}${read(join(folder, "stderr"))}`,
        () => output().includes(text) || (!isAlive(identity) && !output().includes(text) && giveUp(folder)),
        patience,
      );
    },
    go: () => writeFileSync(join(folder, "go"), ""),
    ended: (patience) =>
      eventually(
        () => `${pid} has ended; it said:\n${output()}`,
        () => read(join(folder, "status")).match(/^(.*)\n/)?.[1],
        patience,
      ),
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function giveUp(folder: string): never {
  throw new Error(
    `target in ${folder} ended early: ${read(join(folder, "stdout"))}${read(join(folder, "stderr"))}`,
  );
}
