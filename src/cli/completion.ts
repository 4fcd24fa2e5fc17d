/** `cr completion bash|zsh|fish`: a script that lets the shell complete verbs, flags and their values. */
import { Argument, type Command } from "commander";
import { type BuildProgram, describeVerbs, type OptionFacts, type VerbFacts } from "./command-tree.js";
import { runVerb, write } from "./report.js";

const SHELLS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;
type Shell = keyof typeof SHELLS;

export function register(program: Command, build: BuildProgram): void {
  program
    .command("completion")
    .description("print a script for the shell that completes verbs and flags: source <(cr completion bash)")
    .addArgument(new Argument("<shell>", "the shell").choices(Object.keys(SHELLS)))
    .action((shell: Shell) =>
      runVerb({}, async () => {
        write(SHELLS[shell](describeVerbs(await build())));
      }),
    );
}

function bashScript(verbs: readonly VerbFacts[]): string {
  const flags = (verb: VerbFacts): string =>
    verb.options.flatMap(({ long, short }) => (short === null ? [long] : [short, long])).join(" ");
  const flagCases = verbs.map((verb) => `    ${verb.name}) words="${flags(verb)}" ;;`);
  const valueCases = verbs.flatMap((verb) =>
    verb.options
      .filter(({ choices }) => choices.length > 0)
      .map(
        ({ long, choices }) => `    "${verb.name} ${long}") words="${choices.join(" ")}"; cur_is_value=1 ;;`,
      ),
  );
  const argumentCases = verbs.flatMap((verb) =>
    firstChoices(verb).length === 0 ? [] : [`    ${verb.name}) args="${firstChoices(verb).join(" ")}" ;;`],
  );
  return `_cr() {
  local cur=\${COMP_WORDS[COMP_CWORD]} verb=\${COMP_WORDS[1]} words="" args="" cur_is_value=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${verbs.map(({ name }) => name).join(" ")} --help --version" -- "$cur"))
    return
  fi
  case $verb in
${flagCases.join("\n")}
  esac
  case $verb in
${argumentCases.join("\n")}
  esac
  case "$verb \${COMP_WORDS[COMP_CWORD-1]}" in
${valueCases.join("\n")}
  esac
  if [[ $cur == -* || -n $cur_is_value ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$args" -- "$cur"))
  fi
}
complete -o default -F _cr cr
`;
}

function zshScript(verbs: readonly VerbFacts[]): string {
  const names = verbs.map(({ name, description }) => `    ${quoted(`${name}:${description}`)}`);
  const cases = verbs.map((verb) => {
    const flags = verb.options.flatMap((option) => zshFlags(option).map(quoted));
    const choices = firstChoices(verb);
    const rest = choices.length > 0 ? quoted(`1:argument:(${choices.join(" ")})`) : quoted("*:file:_files");
    return `    ${verb.name}) _arguments ${[...flags, rest].join(" ")} ;;`;
  });
  return `#compdef cr
_cr() {
  local -a verbs
  verbs=(
${names.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe verb verbs
    return
  fi
  shift words
  (( CURRENT -= 1 ))
  case $words[1] in
${cases.join("\n")}
  esac
}
compdef _cr cr
`;
}

function zshFlags({ long, short, takesValue, choices, description }: OptionFacts): string[] {
  const value = !takesValue ? "" : choices.length > 0 ? `:value:(${choices.join(" ")})` : ":value:_files";
  const text = description.replaceAll(/[[\]]/g, "\\$&");
  return [short, long].filter((flag) => flag !== null).map((flag) => `${flag}[${text}]${value}`);
}

function fishScript(verbs: readonly VerbFacts[]): string {
  const lines = verbs.flatMap((verb) => {
    const seen = `complete -c cr -n '__fish_seen_subcommand_from ${verb.name}'`;
    const choices = firstChoices(verb);
    return [
      `complete -c cr -f -n __fish_use_subcommand -a ${verb.name} -d ${quoted(verb.description)}`,
      ...(choices.length === 0 ? [] : [`${seen} -f -a '${choices.join(" ")}'`]),
      ...verb.options.map(({ long, short, takesValue, choices: values, description }) => {
        const flag = `-l ${long.slice(2)}${short === null ? "" : ` -s ${short.slice(1)}`}`;
        const value = !takesValue ? "" : values.length > 0 ? ` -x -a '${values.join(" ")}'` : " -r";
        return `${seen} ${flag}${value} -d ${quoted(description)}`;
      }),
    ];
  });
  return `${lines.join("\n")}\n`;
}

/** What the first argument may be, where it is one of a few words. */
function firstChoices(verb: VerbFacts): readonly string[] {
  return verb.arguments[0]?.choices ?? [];
}

/** In single quotes, as all three shells read them. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
