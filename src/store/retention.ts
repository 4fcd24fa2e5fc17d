/**
 * Which generations of a job stay. Pure: each rule names generations to keep, what no rule keeps goes, and the
 * newest always stays. A rule by hour or by day is one more function in `RULES`.
 */
import { basename } from "node:path";
import type { Generation } from "./generation.js";

export interface RetentionPolicy {
  /** Keep this many of the newest; at least 1. */
  readonly keepLast: number;
}

type Rule = (newestFirst: readonly Generation[], policy: RetentionPolicy) => readonly Generation[];

const RULES: readonly Rule[] = [
  (newestFirst) => newestFirst.slice(0, 1),
  (newestFirst, { keepLast }) => newestFirst.slice(0, keepLast),
];

/**
 * The generations that no rule keeps, oldest first. `ancestors` names the files that a generation builds on: what a kept
 * one needs stays, besides those that the rules count.
 */
export function expiredGenerations(
  generations: readonly Generation[],
  policy: RetentionPolicy,
  ancestors: (generation: Generation) => readonly string[] = () => [],
): readonly Generation[] {
  const newestFirst = [...generations].sort((a, b) => b.number - a.number);
  const kept = new Set(RULES.flatMap((rule) => rule(newestFirst, policy)));
  const needed = new Set([...kept].flatMap(ancestors));
  return newestFirst
    .filter((generation) => !kept.has(generation) && !needed.has(basename(generation.path)))
    .reverse();
}
