/**
 * The one place that knows zod. State nouns declare their shape with `z`; bigint fields use `u64`, which
 * travels as a `0x` hex string in JSON notes. Code that only writes notes needs types alone
 * (`import type`), so that a checkpoint never pays for loading the validator.
 */
import { z } from "zod";

export { z };

/** For checking: most schemas are used once in the life of a command, and to compile one takes longer than that. */
export const INTERPRETED = { jitless: true } as const;

/** A 64-bit number: `0x…` in JSON, `bigint` in memory. */
export const u64 = z
  .string()
  .regex(/^0x[0-9a-f]{1,16}$/)
  .transform((text): bigint => BigInt(text));

/** Bytes: base64 in JSON, `Buffer` in memory. */
export const bytes = z.base64().transform((text): Buffer => Buffer.from(text, "base64"));
