/**
 * How state nouns declare their shape: with `z`; bigint fields use `u64`, which travels as a `0x` hex string in JSON notes.
 * Code that only writes notes needs types alone (`import type`), so that a checkpoint never loads the schemas.
 */
import * as z from "./shapes.js";

export { z };

/** A 64-bit number: `0x…` in JSON, `bigint` in memory. */
export const u64 = z
  .string()
  .regex(/^0x[0-9a-f]{1,16}$/)
  .transform((text): bigint => BigInt(text));

/** Bytes: base64 in JSON, `Buffer` in memory. */
export const bytes = z.base64().transform((text): Buffer => Buffer.from(text, "base64"));
