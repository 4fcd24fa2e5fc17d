/** The manual page cr(1), made from the command tree (man-pages(7)). `node docs/manual.mjs` writes docs/cr.1. */
import type { Command } from "commander";
import { describeVerbs, type OptionFacts, type VerbFacts } from "./command-tree.js";

const CLOSING = `.SH EXIT STATUS
.TP
.B 0
done
.TP
.B 1
failed with a code; nothing is lost
.TP
.B 2
wrong usage
.TP
.B 125
cr itself failed where the status is otherwise that of the restored program
.SH ENVIRONMENT
Options can be given as variables too, as said with each of them; the command line wins.
.TP
.B CR_HOME
folder of the jobs of cr watch; default /var/lib/recore for root, else $XDG_STATE_HOME/recore
.TP
.B NO_COLOR
no colours
.TP
.B CR_DEBUG
print what lies behind an error
.SH SEE ALSO
.BR gdb (1),
.BR gcore (1),
.BR core (5),
.BR ptrace (2)
`;

/** The page as roff text; the same program always gives the same page. */
export function manualPage(program: Command): string {
  const verbs = describeVerbs(program);
  const intro = [
    '.TH CR 1 "" "recore" "User Commands"',
    ".SH NAME",
    "cr \\- checkpoint a running process into a core file and restart it from there",
    ".SH SYNOPSIS",
    ...verbs.flatMap((verb) => [`.B cr ${verb.name}`, escaped(usageOf(verb)), ".br"]),
    ".SH DESCRIPTION",
    `${escaped(program.description())}. The core is an ordinary ELF core file: a debugger opens it too.`,
    ".SH COMMANDS",
  ];
  return `${[...intro, ...verbs.flatMap(describe)].join("\n")}\n${CLOSING}`;
}

function usageOf(verb: VerbFacts): string {
  const options = verb.options.length > 0 ? ["[options]"] : [];
  return [...options, ...verb.arguments.map(({ usage }) => usage)].join(" ");
}

function describe(verb: VerbFacts): string[] {
  return [
    `.SS cr ${verb.name} ${escaped(usageOf(verb))}`,
    `${escaped(capital(verb.description))}.`,
    ...verb.arguments.flatMap(({ usage, description, choices }) => [
      ".TP",
      `.I ${escaped(usage)}`,
      escaped(description + listed(choices)),
    ]),
    ...verb.options.flatMap(describeOption),
  ];
}

function describeOption({ flags, description, choices, standard, variable }: OptionFacts): string[] {
  const extra = [
    ...(standard === null ? [] : [`default: ${standard}`]),
    ...(variable === null ? [] : [`variable: ${variable}`]),
  ];
  const notes = extra.length === 0 ? "" : ` (${extra.join("; ")})`;
  return [".TP", `.B ${escaped(flags)}`, escaped(description + listed(choices) + notes)];
}

function listed(choices: readonly string[]): string {
  return choices.length === 0 ? "" : `: ${choices.join(", ")}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Text in which nothing is roff: backslashes, hyphens that are flags, and dots or quotes at the start of a line. */
function escaped(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/, "\\&$1");
}
