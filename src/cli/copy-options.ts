/** Flags of `checkpoint` and `watch` that say how the memory is copied and written, and what that may cost. */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { CheckpointOptions } from "../checkpoint/checkpoint.js";
import type { Mode } from "../checkpoint/mode.js";
import { parseBytes, parseCount, parseDurationMs } from "./duration.js";

export interface CopyFlags {
  readonly compress: number | null;
  readonly mode?: Mode;
  readonly maxStop?: number;
  readonly threads?: number;
  readonly limit?: number;
}

/** Adds them to a verb. */
export function addCopyOptions(verb: Command): Command {
  return verb
    .addOption(compressOption())
    .addOption(
      new Option(
        "--mode <way>",
        "copy it while it runs, from a frozen copy, or while it stands (default: the best)",
      )
        .choices(["live", "fork", "stop"])
        .env("CR_MODE"),
    )
    .addOption(
      new Option("--max-stop <time>", "refuse if the program would stand still for longer")
        .argParser(parseDurationMs)
        .env("CR_MAX_STOP"),
    )
    .addOption(
      new Option("--threads <n>", "threads that copy and compress (default: one a CPU, up to 4)")
        .argParser(parseCount)
        .env("CR_THREADS"),
    )
    .addOption(
      new Option("--limit <amount>", "write at most so much a second while the program runs: 200M")
        .argParser(parseBytes)
        .env("CR_LIMIT"),
    );
}

/** The same for the operation. */
export function copyOptionsOf(
  flags: CopyFlags,
): Pick<CheckpointOptions, "compress" | "mode" | "maxStopMs" | "threads" | "limitBytesPerS"> {
  const { compress, mode, maxStop, threads, limit } = flags;
  return {
    compress,
    ...(mode !== undefined && { mode }),
    ...(maxStop !== undefined && { maxStopMs: maxStop }),
    ...(threads !== undefined && { threads }),
    ...(limit !== undefined && { limitBytesPerS: limit }),
  };
}

function compressOption(): Option {
  return new Option("--compress <how>", "compress the core: none, zstd or zstd:LEVEL (1 to 19)")
    .default(null, "none")
    .argParser(parseCompression)
    .env("CR_COMPRESS");
}

/** `none`, `zstd` or `zstd:LEVEL`, as a level of zstd. */
function parseCompression(text: string): number | null {
  if (text === "none") return null;
  const level = Number(
    /^zstd(?::(\d+))?$/
      .exec(text)
      ?.slice(1)
      .map((digits) => digits ?? "3")[0],
  );
  if (level >= 1 && level <= 19) return level;
  throw new InvalidArgumentError("required is none, zstd or zstd:LEVEL, with a level from 1 to 19");
}
