/**
 * The shapes that nouns are read with (state/shapes.ts) against zod, from which they have their names and rules: every
 * schema of src/state is made by both, and both take the same values, refuse the same at the same place, and make the
 * same of them. Another seed can be tried: CR_TEST_SEED=7.
 */
import { isDeepStrictEqual } from "node:util";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { z as Zod } from "zod";
import * as z from "../../src/state/shapes.js";
import { diceOf, fitting, spoilt } from "./zod-values.js";

const SEED = Number(process.env.CR_TEST_SEED ?? 20261120);
const ROUNDS = 60;

async function schemasOf(): Promise<ReadonlyMap<string, z.ZodType>> {
  const nouns = await Promise.all([
    ...[import("../../src/state/credentials.js"), import("../../src/state/delta.js")],
    ...[import("../../src/state/fd.js"), import("../../src/state/frame.js")],
    ...[import("../../src/state/kernel-object.js"), import("../../src/state/pages.js")],
    ...[import("../../src/state/process.js"), import("../../src/state/segment.js")],
    ...[import("../../src/state/signal.js"), import("../../src/state/snapshot.js")],
    ...[import("../../src/state/soft-error.js"), import("../../src/state/space.js")],
    ...[import("../../src/state/sysv-ipc.js"), import("../../src/state/tcp.js")],
    ...[import("../../src/state/thread.js"), import("../../src/state/timer.js")],
    ...[import("../../src/state/tree.js"), import("../../src/state/vma.js")],
  ]);
  return new Map(
    nouns.flatMap((noun) => Object.entries(noun).filter(([name]) => name.endsWith("Schema"))),
  ) as unknown as ReadonlyMap<string, z.ZodType>;
}

/** The same schemas, made by zod. */
async function schemasOfZod(): Promise<ReadonlyMap<string, Zod.ZodType>> {
  vi.resetModules();
  vi.doMock("../../src/state/schema.js", async () => {
    const { z } = await import("zod");
    const u64 = z
      .string()
      .regex(/^0x[0-9a-f]{1,16}$/)
      .transform((text) => BigInt(text));
    return { z, u64, bytes: z.base64().transform((text) => Buffer.from(text, "base64")) };
  });
  return (await schemasOf()) as unknown as ReadonlyMap<string, Zod.ZodType>;
}

afterEach(() => {
  vi.doUnmock("../../src/state/schema.js");
  vi.resetModules();
});

/** What differs in what the two make of a value; empty when nothing does. */
function difference(ours: z.Outcome<unknown>, zods: Zod.ZodSafeParseResult<unknown>): string {
  if (ours.success !== zods.success) return `ours ${told(ours)}, zod ${told(zods)}`;
  if (ours.success && zods.success) return isDeepStrictEqual(ours.data, zods.data) ? "" : "another value";
  const [here, there] = [issueOf(ours)?.path.join("."), issueOf(zods)?.path.join(".")];
  return here === there ? "" : `ours at ${here}, zod at ${there}`;
}

type Either = z.Outcome<unknown> | Zod.ZodSafeParseResult<unknown>;

function issueOf(outcome: Either): { readonly path: readonly PropertyKey[] } | undefined {
  return outcome.success ? undefined : outcome.error.issues[0];
}

function told(outcome: Either): string {
  return outcome.success ? "takes it" : `refuses it: ${JSON.stringify(issueOf(outcome))}`;
}

describe("shapes", () => {
  test("take, refuse and make what zod does", async () => {
    const ours = await schemasOf();
    const zods = await schemasOfZod();
    expect([...zods.keys()]).toEqual([...ours.keys()]);
    expect(ours.size).toBeGreaterThan(30);
    const dice = diceOf(SEED);
    const count = { taken: 0, refused: 0 };
    for (const [name, zod] of zods) {
      for (let round = 0; round < ROUNDS; round++) {
        const fits = fitting(zod, dice);
        const value = round % 2 === 0 ? fits : spoilt(fits, dice);
        const [mine, theirs] = [ours.get(name)?.safeParse(value), zod.safeParse(value)];
        if (mine === undefined) throw new RangeError(name);
        count[mine.success ? "taken" : "refused"] += 1;
        const differs = difference(mine, theirs);
        expect(differs && `${name} of ${JSON.stringify(value)}: ${differs}`).toBe("");
      }
    }
    expect(count.taken).toBeGreaterThan(count.refused);
    expect(count.refused).toBeGreaterThan(ours.size * 10);
  });

  test("say what does not fit, and where", () => {
    const shape = z.object({
      name: z.string().regex(/^a/),
      list: z.array(z.tuple([z.int().positive(), z.enum(["r", "w"])])).default([]),
      kind: z.discriminatedUnion("is", [z.object({ is: z.literal("b") })]).optional(),
    });
    const said = (value: unknown) => {
      const found = shape.safeParse(value);
      return found.success ? "" : `${found.error.issues[0].path.join(".")}: ${found.error.issues[0].message}`;
    };
    expect(said({ name: "ab" })).toBe("");
    expect(said([])).toBe(": a list, an object is required");
    expect(said({})).toBe("name: is missing");
    expect(said({ name: "b" })).toBe('name: "b", like /^a/ is required');
    expect(said({ name: 7 })).toBe("name: a number, a text is required");
    expect(
      said({
        name: "a",
        list: [
          [1, "r"],
          [0, "r"],
        ],
      }),
    ).toBe("list.1.0: 0, above 0 is required");
    expect(said({ name: "a", list: [[1, "x"]] })).toBe('list.0.1: "x", one of r, w is required');
    expect(said({ name: "a", list: [[1]] })).toBe("list.0: 1 items, 2 are required");
    expect(said({ name: "a", list: [[1.5, "r"]] })).toBe("list.0.0: 1.5, a whole number is required");
    expect(said({ name: "a", kind: { is: "c" } })).toBe("kind.is: one of b is required");
  });

  test("give each value a list of its own where one is left out", () => {
    const shape = z.object({ list: z.array(z.int()).default([]) });
    const [one, other] = [shape.parse({}), shape.parse({})];
    expect(one.list).toEqual([]);
    expect(one.list).not.toBe(other.list);
  });
});
