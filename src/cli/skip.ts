/** `--skip KIND:ID`: consent to go without something, of checkpoint, watch and restore. */
import { InvalidArgumentError, Option } from "commander";

/** A refusal names the words that would accept it; only their form is checked here. */
const FORM = /^[a-z]+:[A-Za-z0-9_.-]+$/;

/** The option, with what it means for the verb. */
export function skipOption(description: string): Option {
  return new Option("--skip <kind:id>", `${description}; may be repeated`)
    .argParser((text: string, before: readonly string[]) => [...before, ...parseSkip(text)])
    .default([], "none")
    .env("CR_SKIP");
}

/** One or more, with commas or blanks between them: a variable has room for one value only. */
export function parseSkip(text: string): string[] {
  const skips = text.split(/[\s,]+/).filter((one) => one !== "");
  const wrong = skips.find((one) => !FORM.test(one));
  if (wrong === undefined && skips.length > 0) return skips;
  throw new InvalidArgumentError(`'${wrong ?? text}' is not of the form KIND:ID, such as fd:7.`);
}
