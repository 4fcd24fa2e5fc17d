/**
 * JSON bodies of RECORE notes, writing side: `bigint` becomes a `0x` hex string, `Buffer` base64.
 * The reading side is the schema of each noun (`u64`, `bytes` of schema.ts).
 */
import { hex } from "./address.js";

/** Encodes a state noun as the UTF-8 JSON body of its note. */
export function encodeNoteJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value, replace), "utf8");
}

function replace(this: unknown, key: string, value: unknown): unknown {
  // Buffer.toJSON has already run on `value`; the holder still has the Buffer itself.
  const raw = (this as Record<string, unknown>)[key];
  if (Buffer.isBuffer(raw)) return raw.toString("base64");
  return typeof value === "bigint" ? hex(value) : value;
}
