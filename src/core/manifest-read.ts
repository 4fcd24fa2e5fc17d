/**
 * The manifest of a process tree, reading side: `manifest.json` of a bundle, its checksum, its shape, and whether its
 * parts agree. Whether the cores beside it are those it speaks of is bundle.ts.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { CrError, isErrno } from "../errors.js";
import { INTERPRETED, int, text, z } from "../state/schema.js";
import { type Tree, type TreeMember, treeSchema } from "../state/tree.js";
import { badCore } from "./byte-source.js";
import { CHECKSUM_KEY, MANIFEST_NAME, manifestChecksum } from "./manifest.js";
import { FORMAT, NO_CHECKSUM } from "./recore-notes.js";

/** A million members would have less. */
const BYTES_MAX = 1 << 28;

const envelopeSchema = z.object({
  checksum: text,
  format: z.tuple([int, int]),
  body: z.unknown(),
});

/**
 * The tree of the bundle in `folder`. Throws CORE_UNREADABLE, BAD_CORE naming what is wrong, CORE_CORRUPT for a
 * wrong checksum, FORMAT_VERSION.
 */
export function readManifest(folder: string): Tree {
  const path = join(folder, MANIFEST_NAME);
  return decodeManifest(readBytes(path), path);
}

/** The same from bytes. */
export function decodeManifest(bytes: Buffer, path: string): Tree {
  if (bytes.toString("latin1", 0, CHECKSUM_KEY.length) !== CHECKSUM_KEY) {
    throw badCore(path, "it does not begin as a manifest does", "name a folder that cr checkpoint wrote");
  }
  const told = bytes.toString("latin1", CHECKSUM_KEY.length, CHECKSUM_KEY.length + NO_CHECKSUM.length);
  const found = manifestChecksum(bytes);
  if (told !== found) {
    throw new CrError(
      "CORE_CORRUPT",
      `read manifest ${path}: its checksum is ${found}, ${told} is required`,
      {
        hint: "use an older checkpoint; this one was altered or its disk failed",
        data: { path, where: "manifest" },
      },
    );
  }
  const envelope = parse(envelopeSchema, parseJson(bytes, path), path);
  if (envelope.format[0] !== FORMAT[0]) {
    const versions = `it has format ${envelope.format.join(".")}, this version reads ${FORMAT.join(".")}`;
    throw new CrError("FORMAT_VERSION", `read manifest ${path}: ${versions}`, {
      hint: "use the version of Recore that wrote it, or a newer one",
      data: { path },
    });
  }
  const tree = parse(treeSchema, envelope.body, path);
  checkTree(tree, path);
  return tree;
}

function readBytes(path: string): Buffer {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw badCore(path, "it is not a regular file");
      if (stat.size > BYTES_MAX)
        throw badCore(path, `it has ${stat.size} bytes, at most ${BYTES_MAX} are read`);
      const bytes = Buffer.alloc(stat.size);
      return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0));
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (error instanceof CrError || !(error as NodeJS.ErrnoException).code) throw error;
    const reason = isErrno(error, "ENOENT") ? "there is no such file" : (error as Error).message;
    throw new CrError("CORE_UNREADABLE", `read manifest ${path}: ${reason}`, {
      hint: "name a core, or a folder that cr checkpoint wrote",
      data: { path },
      cause: error,
    });
  }
}

function parseJson(bytes: Buffer, path: string): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw badCore(path, `it is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function parse<T extends z.ZodMiniType>(schema: T, value: unknown, path: string): z.infer<T> {
  const result = schema.safeParse(value, INTERPRETED);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw badCore(
    path,
    `it is malformed: ${issue?.path.join(".") || "its body"}: ${issue?.message ?? "wrong shape"}`,
  );
}

/** Parents before children, one root, every pid once, alive with a core or dead with a status. */
function checkTree({ root, members, memory }: Tree, path: string): void {
  const seen = new Map<number, TreeMember>();
  for (const member of members) {
    const name = `process ${member.pid}`;
    if (seen.has(member.pid)) throw badCore(path, `${name} is there twice`);
    if ((member.core === null) === (member.zombie === null)) {
      throw badCore(path, `${name} has to have either a core or a status of its end`);
    }
    if (member.core !== null && member.core.file !== `core.${member.pid}`) {
      throw badCore(path, `${name} has the core ${member.core.file}, core.${member.pid} is required`);
    }
    const isRoot = seen.size === 0;
    if (isRoot !== (member.pid === root) || isRoot !== (member.parent === 0)) {
      throw badCore(path, `${name} stands where ${isRoot ? "the root" : "a child"} is required`);
    }
    const parent = seen.get(member.parent);
    if (!isRoot && (parent === undefined || parent.core === null)) {
      throw badCore(path, `${name} has the parent ${member.parent}, a living one in front of it is required`);
    }
    for (const { what, with: other } of member.shares) {
      if (!seen.has(other))
        throw badCore(path, `${name} shares its ${what} with ${other}, which is not in front of it`);
    }
    seen.set(member.pid, member);
  }
  if (members[0]?.core === null) throw badCore(path, "its root is dead");
  for (const { ino, members: pids } of memory) {
    const missing = pids.find((pid) => !seen.has(pid));
    if (missing !== undefined)
      throw badCore(path, `the memory ${ino} belongs to ${missing}, which is no member`);
  }
}
