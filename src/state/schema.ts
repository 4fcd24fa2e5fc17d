/**
 * The one place that knows zod, in its form of functions (zod/mini): making a schema is a part of every restore, and costs a
 * fraction there of what it does with methods. State nouns declare their shape with `z`; 64-bit numbers are `u64`, which
 * travel as `0x` hex strings in JSON notes. Code that only writes notes needs types alone (`import type`), so that a
 * checkpoint never pays for loading the validator.
 */
import { en } from "zod/locales";
import * as z from "zod/mini";

z.config(en());

export { z };

/** For checking: most schemas are used once in the life of a command, and to compile one takes longer than that. */
export const INTERPRETED = { jitless: true } as const;

/** What most fields are, made once for all of them. */
export const text = z.string();
export const flag = z.boolean();
export const int = z.int();
/** From 0 on, and from 1 on. */
export const natural = int.check(z.nonnegative());
export const positive = int.check(z.positive());

/** A CRC32C as text. */
export const digits = text.check(z.regex(/^[0-9a-f]{8}$/));

/** A 64-bit number: `0x…` in JSON, `bigint` in memory. */
export const u64 = z.pipe(
  text.check(z.regex(/^0x[0-9a-f]{1,16}$/)),
  z.transform((hex): bigint => BigInt(hex)),
);

/** Bytes: base64 in JSON, `Buffer` in memory. */
export const bytes = z.pipe(
  z.base64(),
  z.transform((base64): Buffer => Buffer.from(base64, "base64")),
);
