/** Starts pages.c and tells where its memory stands. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Scene } from "../harness/scene.js";
import type { Target } from "../harness/target.js";

export const PAGE = 4096n;
export const FILE_PAGES = 8;

export interface PagesTarget {
  readonly target: Target;
  /** The file that is mapped; page N is full of the letter A + N. */
  readonly file: string;
  /** Address of a page of one of its mappings. */
  at(mapping: "private" | "file" | "shared", page: number): bigint;
}

/** The target, ready; `program` is what `buildProgram("pages")` built. */
export async function startPages(scene: Scene, program: string): Promise<PagesTarget> {
  const file = join(scene.folder, "mapped");
  const letters = Array.from({ length: FILE_PAGES }, (_, page) => String.fromCharCode(65 + page));
  writeFileSync(file, letters.map((letter) => letter.repeat(Number(PAGE))).join(""));
  const target = await scene.start([program, "FOLDER", file]);
  await target.says("ready");
  const starts = new Map(
    [...target.output().matchAll(/^(\w+) 0x([0-9a-f]+)$/gm)].map(([, name, at]) => [name, BigInt(`0x${at}`)]),
  );
  return { target, file, at: (mapping, page) => (starts.get(mapping) ?? 0n) + BigInt(page) * PAGE };
}

/** What `fill` of fixtures/act.h puts into a page. */
export function filledPage(seed: bigint): Buffer {
  const page = Buffer.alloc(Number(PAGE));
  for (let index = 0n; index < PAGE / 8n; index += 1n) {
    const word = (seed * 0x9e3779b97f4a7c15n + index * 0xbf58476d1ce4e5b9n) | 1n;
    page.writeBigUInt64LE(BigInt.asUintN(64, word), Number(index) * 8);
  }
  return page;
}
