/** How `cr demo` tells its story: headings, commands, running words and proofs, or nothing with --json. */
import { styleText } from "node:util";
import { CrError } from "../errors.js";

/** Columns of a paragraph. */
const WIDTH = 88;
const INDENT = "   ";

export interface Telling {
  heading(text: string): void;
  line(text: string): void;
  /** A command, as a user would type it. */
  command(text: string): void;
  /** Words of a running paragraph, as they come. */
  words(...words: readonly string[]): void;
  /** A claim that was checked; throws DEMO_FAILED when it does not hold. */
  proof(holds: boolean, claim: string): void;
}

/** Tells to standard output, in colour on a terminal unless NO_COLOR is set. */
export function telling({ silent }: { readonly silent: boolean }): Telling {
  const write = (text: string): void => {
    if (!silent) process.stdout.write(text);
  };
  let column = 0;
  const line = (text: string): void => {
    write(`${column > 0 ? "\n" : ""}${text}\n`);
    column = 0;
  };
  const word = (text: string): void => {
    const full = column + text.length + 1 > WIDTH;
    const lead = column === 0 ? INDENT : full ? `\n${INDENT}` : " ";
    if (full) column = 0;
    write(lead + text);
    column += (column === 0 ? INDENT.length : 1) + text.length;
  };
  return {
    heading: (text) => line(`\n${paint("bold", text)}`),
    line: (text) => line(INDENT + text),
    command: (text) => line(`${INDENT}${paint("cyan", `$ ${text}`)}`),
    words: (...words) => words.forEach(word),
    proof: (holds, claim) => {
      if (!holds) throw failed(`a claim does not hold: ${claim}`);
      line(`${INDENT}${paint("green", "ok")} ${claim}`);
    },
  };
}

/** The error for a story that went otherwise than told. */
export function failed(message: string): CrError {
  return new CrError("DEMO_FAILED", `demo: ${message}`, {
    hint: "cr doctor says what works on this host",
  });
}

function paint(style: "bold" | "cyan" | "green", text: string): string {
  const plain = process.env.NO_COLOR || !process.stdout.isTTY;
  return plain ? text : styleText(style, text);
}
