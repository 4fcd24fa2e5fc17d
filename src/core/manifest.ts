/**
 * The manifest of a process tree, writing side: JSON with a checksum of its own, whose digits stand at a fixed place
 * and count as zeros. Free of schemas, because checkpoints load it; reading is manifest-read.ts.
 */
import { statSync } from "node:fs";
import { encodeNoteJson } from "../state/note-json.js";
import type { Tree } from "../state/tree.js";
import { crc32c } from "./crc32c.js";
import { FORMAT, NO_CHECKSUM } from "./recore-notes.js";
import { checksumDigits } from "./writer.js";

/** Name of the manifest in its folder. */
export const MANIFEST_NAME = "manifest.json";

/** The file begins with this; the digits follow. */
export const CHECKSUM_KEY = '{"checksum":"';

/** The bytes of manifest.json. */
export function encodeManifest(tree: Tree): Buffer {
  const bytes = encodeNoteJson({ checksum: NO_CHECKSUM, format: FORMAT, body: tree });
  bytes.write(manifestChecksum(bytes), CHECKSUM_KEY.length, "latin1");
  return bytes;
}

/** CRC32C of a manifest, in digits, whatever digits it has. */
export function manifestChecksum(bytes: Buffer): string {
  const blank = Buffer.from(bytes);
  blank.write(NO_CHECKSUM, CHECKSUM_KEY.length, "latin1");
  return checksumDigits(crc32c(blank));
}

/** True for a bundle, as far as a look from outside tells: a folder. False for a core, or what is neither. */
export function isBundle(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
