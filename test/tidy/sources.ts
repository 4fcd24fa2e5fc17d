/** The files of this repository that the house rules hold for, and what each TypeScript file imports. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { blank } from "./blank.js";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface Source {
  /** Path from the root of the repository. */
  readonly path: string;
  readonly text: string;
  /** The text without comments; strings are there. */
  readonly code: string;
  /** The text without comments and without what is in strings, templates and regular expressions. */
  readonly bare: string;
}

/** Reads the files below a folder whose names end in one of these ways. */
export function readSources(folder: string, ...endings: readonly string[]): readonly Source[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => {
      const full = join(entry.parentPath, entry.name);
      const text = readFileSync(full, "utf8");
      const path = relative(ROOT, full);
      return { path, text, code: blank(text, "comments"), bare: blank(text, "literals") };
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** What a file imports, types included: paths from the root (`.ts`) for its own, names for packages. */
export function importsOf(source: Source): readonly string[] {
  const pattern =
    /^\s*(?:import|export)\s[^;"'`]*?\sfrom\s*["']([^"']+)["']|^\s*import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/gm;
  return [...source.code.matchAll(pattern)].map((match) => {
    const name = match[1] ?? match[2] ?? match[3] ?? "";
    if (!name.startsWith(".")) return name;
    return relative(ROOT, resolve(ROOT, dirname(source.path), name)).replace(/\.js$/, ".ts");
  });
}
