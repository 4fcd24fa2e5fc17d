/** The command tree as plain data, for what is generated from it: shell completions and the manual page. */
import type { Argument, Command, Option } from "commander";

/** Builds the program with all its verbs; given to verbs that speak about the others. */
export type BuildProgram = () => Promise<Command>;

export interface VerbFacts {
  readonly name: string;
  readonly description: string;
  readonly arguments: readonly ArgumentFacts[];
  readonly options: readonly OptionFacts[];
}

export interface ArgumentFacts {
  /** As in the usage line: `<pid>`, `[exe]`. */
  readonly usage: string;
  readonly description: string;
  readonly choices: readonly string[];
}

export interface OptionFacts {
  /** As in the help: `-o, --output <file>`. */
  readonly flags: string;
  readonly long: string;
  /** With its dash; null when there is none. */
  readonly short: string | null;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
  readonly description: string;
  /** The variable that stands for it; null when there is none. */
  readonly variable: string | null;
  /** As shown to people; null when there is none. */
  readonly standard: string | null;
}

/** The verbs of a program in their order, without commander's own `help`. */
export function describeVerbs(program: Command): readonly VerbFacts[] {
  return program.commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    arguments: command.registeredArguments.map(describeArgument),
    options: command.options.filter(({ hidden }) => !hidden).map(describeOption),
  }));
}

function describeArgument(argument: Argument): ArgumentFacts {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  const usage = argument.required ? `<${name}>` : `[${name}]`;
  return { usage, description: argument.description, choices: argument.argChoices ?? [] };
}

function describeOption(option: Option): OptionFacts {
  const value: unknown = option.defaultValue;
  return {
    flags: option.flags,
    long: option.long ?? option.flags,
    short: option.short ?? null,
    takesValue: option.required || option.optional,
    choices: option.argChoices ?? [],
    description: option.description,
    variable: option.envVar ?? null,
    standard: value === undefined ? null : (option.defaultValueDescription ?? String(value)),
  };
}
