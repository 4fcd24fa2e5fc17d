/**
 * Source text with comments, or comments and literals, replaced by blanks: same length, same lines, so that braces
 * can be matched and words searched by plain means. Knows TypeScript's templates and regular expressions, and C.
 */

/** What to blank out: comments alone, or the insides of strings, templates and regular expressions too. */
export type Blanking = "comments" | "literals";

/** Characters after which a slash begins a regular expression, not a division. */
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};+\-*%<>~\n]|\b(?:return|typeof|case|in|of|await|void))\s*$/;

/** Blanks out a file's text. */
export function blank(text: string, what: Blanking): string {
  const out = text.split("");
  const erase = (from: number, to: number): void => {
    for (let at = from; at < to; at += 1) if (out[at] !== "\n") out[at] = " ";
  };
  scanCode(text, 0, (kind, from, to) => {
    if (kind === "comment" || what === "literals") erase(from, to);
  });
  return out.join("");
}

type Found = (kind: "comment" | "literal", from: number, to: number) => void;

/** Reports comments and insides of literals from `at` on; ends at the end, or at the `}` that closes a template's hole. */
function scanCode(text: string, start: number, found: Found): number {
  let depth = 0;
  for (let at = start; at < text.length; ) {
    const two = text.slice(at, at + 2);
    const one = text[at] ?? "";
    if (two === "//" || two === "/*") {
      const end = two === "//" ? text.indexOf("\n", at) : text.indexOf("*/", at) + 2;
      const stop = end <= at ? text.length : end;
      found("comment", at, stop);
      at = stop;
    } else if (one === '"' || one === "'") {
      at = scanQuoted(text, at, found);
    } else if (one === "`") {
      at = scanTemplate(text, at, found);
    } else if (one === "/" && BEFORE_REGEX.test(text.slice(Math.max(0, at - 40), at))) {
      at = scanRegex(text, at, found);
    } else {
      if (one === "{") depth += 1;
      if (one === "}") depth -= 1;
      if (depth < 0) return at;
      at += 1;
    }
  }
  return text.length;
}

function scanQuoted(text: string, start: number, found: Found): number {
  let at = start + 1;
  while (at < text.length && text[at] !== text[start] && text[at] !== "\n") at += text[at] === "\\" ? 2 : 1;
  found("literal", start + 1, at);
  return at + 1;
}

function scanTemplate(text: string, start: number, found: Found): number {
  let from = start + 1;
  for (let at = from; at < text.length; ) {
    if (text[at] === "`") {
      found("literal", from, at);
      return at + 1;
    }
    if (text.startsWith("${", at)) {
      found("literal", from, at);
      from = scanCode(text, at + 2, found) + 1;
      at = from;
    } else at += text[at] === "\\" ? 2 : 1;
  }
  return text.length;
}

function scanRegex(text: string, start: number, found: Found): number {
  let inClass = false;
  let at = start + 1;
  while (at < text.length && text[at] !== "\n" && (inClass || text[at] !== "/")) {
    if (text[at] === "[") inClass = true;
    if (text[at] === "]") inClass = false;
    at += text[at] === "\\" ? 2 : 1;
  }
  found("literal", start + 1, at);
  return at + 1;
}
