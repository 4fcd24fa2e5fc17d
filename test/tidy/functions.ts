/**
 * The functions of a source file with their length and number of positional parameters, found in text whose comments
 * and literals are blanked out (blank.ts).
 */

export interface FoundFunction {
  readonly name: string;
  /** 1-based line of its first character. */
  readonly line: number;
  readonly lines: number;
  readonly parameters: number;
}

const NOT_A_NAME = /^(?:if|for|while|switch|catch|return|await|new|typeof|super|function)$/;

/** Functions, methods and arrow functions of TypeScript. An arrow function without braces counts its parameters. */
export function typescriptFunctions(blanked: string): readonly FoundFunction[] {
  return [...declared(blanked), ...arrows(blanked)];
}

/** Functions of C: what stands at the start of a line and ends with a `}` there. */
export function cFunctions(blanked: string): readonly FoundFunction[] {
  const pattern = /^[A-Za-z_][\w \t*]*?\b(\w+)\(([^;{}]*)\)\s*\{/gm;
  return [...blanked.matchAll(pattern)].map((match) => {
    const open = match.index + match[0].length - 1;
    const parameters = countParameters(match[2] === "void" ? "" : (match[2] ?? ""));
    return { ...place(blanked, match.index, closing(blanked, open)), name: match[1] ?? "?", parameters };
  });
}

/** `function name(…) {` and `name(…) {` in a class or an object. */
function declared(text: string): readonly FoundFunction[] {
  const pattern =
    /\bfunction\b\s*\*?\s*([\w$]*)|^[ \t]*(?:(?:static|async|get|set|private|public|override)\s+)*([#\w$]+)(?=\s*[<(])/gm;
  return [...text.matchAll(pattern)].flatMap((match) => {
    const name = match[1] ?? match[2] ?? "";
    const open = text.indexOf("(", match.index + match[0].length);
    const between = text.slice(match.index + match[0].length, open);
    if (open < 0 || NOT_A_NAME.test(name) || !/^\s*(?:<[^;{}]*>)?\s*$/.test(between)) return [];
    const close = closing(text, open);
    const body = bodyAfter(text, close + 1);
    if (body === undefined) return [];
    return [
      { ...place(text, match.index, body), name, parameters: countParameters(text.slice(open + 1, close)) },
    ];
  });
}

function arrows(text: string): readonly FoundFunction[] {
  const pattern =
    /(?:\b([\w$]+)\s*=\s*)?(?:async\s*)?\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)(?:\s*:\s*[^=;(){}]+)?\s*=>\s*(\{)?/g;
  return [...text.matchAll(pattern)].map((match) => {
    const end = match.index + match[0].length;
    const until = match[3] === undefined ? end : closing(text, end - 1);
    return {
      ...place(text, match.index, until),
      name: match[1] ?? "(arrow function)",
      parameters: countParameters(match[2] ?? ""),
    };
  });
}

/** Where the body ends that follows a parameter list, beyond a return type, which may have braces; undefined if none. */
function bodyAfter(text: string, from: number): number | undefined {
  let rest = /^\s*(?::[^;={}]*(?:=>[^;={}]*)?)?\{/.exec(text.slice(from, from + 2000));
  if (rest === null) return undefined;
  let end = closing(text, from + rest[0].length - 1);
  for (;;) {
    // `): { … } {`: what came was the return type.
    rest = /^[ \w[\]|&>]*\{/.exec(text.slice(end + 1, end + 200));
    if (rest === null) return end;
    end = closing(text, end + rest[0].length);
  }
}

/** Index of the bracket that closes the one at `open`. */
function closing(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at += 1) {
    if ("([{".includes(text[at] ?? " ")) depth += 1;
    if (")]}".includes(text[at] ?? " ")) depth -= 1;
    if (depth === 0) return at;
  }
  return text.length;
}

function place(text: string, from: number, to: number): { line: number; lines: number } {
  const first = from + (/^\s*/.exec(text.slice(from))?.[0].length ?? 0);
  const line = text.slice(0, first).split("\n").length;
  return { line, lines: text.slice(first, to).split("\n").length };
}

/** Parameters between two brackets; a `this` parameter is none. */
function countParameters(list: string): number {
  let depth = 0;
  const parameters = [""];
  for (const letter of list.replaceAll("=>", "  ")) {
    if ("([{<".includes(letter)) depth += 1;
    if (")]}>".includes(letter)) depth -= 1;
    if (letter === "," && depth === 0) parameters.push("");
    else parameters.push((parameters.pop() ?? "") + letter);
  }
  return parameters.filter((one) => one.trim() !== "" && !/^\s*this\s*:/.test(one)).length;
}
