/**
 * Recore's own notes, reading side: the envelope first (format, required), then the schema of the noun. What a
 * newer minor version added is ignored; an unknown major or an unknown required note is refused.
 */
import { CrError } from "../errors.js";
import { credentialsSchema } from "../state/credentials.js";
import { type Delta, deltaSchema } from "../state/delta.js";
import { filesSchema } from "../state/fd.js";
import { type FramesNote, framesSchema } from "../state/frame.js";
import { pagesSchema } from "../state/pages.js";
import { hostSchema, limitsSchema, processSchema } from "../state/process.js";
import { digits, flag, INTERPRETED, int, z } from "../state/schema.js";
import { signalsSchema } from "../state/signal.js";
import { softErrorsSchema } from "../state/soft-error.js";
import { threadsSchema } from "../state/thread.js";
import { timersSchema } from "../state/timer.js";
import { mmSchema, vmasSchema } from "../state/vma.js";
import { badCore } from "./byte-source.js";
import type { Note } from "./note.js";
import {
  DELTA_NOTE,
  FORMAT,
  RECORE_NOTES,
  RECORE_OWNER,
  type RecoreNoteName,
  TABLE_FORMAT,
} from "./recore-notes.js";

const SCHEMAS = {
  HOST: hostSchema,
  PROCESS: processSchema,
  THREADS: threadsSchema,
  MM: mmSchema,
  VMAS: vmasSchema,
  SIGNALS: signalsSchema,
  TIMERS: timersSchema,
  FILES: filesSchema,
  LIMITS: limitsSchema,
  CREDENTIALS: credentialsSchema,
  PAGES: pagesSchema,
  SOFT: softErrorsSchema,
  CHECKSUM: z.object({ crc32c: digits }),
} as const;

type Bodies = { readonly [Name in RecoreNoteName]: z.infer<(typeof SCHEMAS)[Name]> };

const envelopeSchema = z.object({
  format: z.tuple([int, int]),
  required: flag,
  body: z.unknown(),
});

/** Notes whose runs may stand in a table. */
const TABLES: ReadonlySet<string> = new Set(["PAGES", "DELTA"]);

/** Every noun of a core of ours; BAD_CORE names the note that is missing, doubled or malformed, FORMAT_VERSION
 * the one this version does not know. */
export function decodeRecoreNotes(notes: readonly Note[], path: string): Bodies {
  const bodies: Partial<Record<RecoreNoteName, unknown>> = {};
  for (const note of notes) {
    if (note.owner !== RECORE_OWNER || note.type === DELTA_NOTE) continue;
    const name = nameOf(note);
    const body = openEnvelope(note, name, path);
    if (name === undefined) continue;
    if (name in bodies) throw badCore(path, `the note RECORE/${name} is there twice`);
    bodies[name] = parse(SCHEMAS[name], body, { name, path });
  }
  for (const name of Object.keys(RECORE_NOTES)) {
    if (!(name in bodies)) throw badCore(path, `the note RECORE/${name} is missing`);
  }
  return bodies as Bodies;
}

/** The digits of the CHECKSUM note; refuses another major version before anything is trusted. */
export function decodeChecksumNote(note: Note, path: string): string {
  const body = openEnvelope(note, "CHECKSUM", path);
  return (parse(SCHEMAS.CHECKSUM, body, { name: "CHECKSUM", path }) as Bodies["CHECKSUM"]).crc32c;
}

/** The note DELTA; undefined in a core that is whole. */
export function decodeDeltaNote(notes: readonly Note[], path: string): Delta | undefined {
  const [note, ...more] = notes.filter(({ owner, type }) => owner === RECORE_OWNER && type === DELTA_NOTE);
  if (more.length > 0) throw badCore(path, "the note RECORE/DELTA is there twice");
  if (note === undefined) return undefined;
  const of = { name: "DELTA", path };
  return parse(deltaSchema, openBody(note, of), of) as Delta;
}

/** The note FRAMES of a compressed core, which is read before the plain core can be. */
export function decodeFramesNote(note: Note, path: string): FramesNote {
  const of = { name: "FRAMES", path };
  return parse(framesSchema, openBody(note, of), of) as FramesNote;
}

function openBody(note: Note, of: { readonly name: string; readonly path: string }): unknown {
  const envelope = parse(envelopeSchema, readJson(note, of), of) as z.infer<typeof envelopeSchema>;
  requireMajor(envelope.format, of.name, of.path);
  return envelope.body;
}

function nameOf({ type }: Note): RecoreNoteName | undefined {
  return (Object.keys(RECORE_NOTES) as RecoreNoteName[]).find((name) => RECORE_NOTES[name] === type);
}

function openEnvelope(note: Note, known: RecoreNoteName | undefined, path: string): unknown {
  const name = known ?? `type ${note.type}`;
  const envelope = parse(envelopeSchema, readJson(note, { name, path }), { name, path }) as z.infer<
    typeof envelopeSchema
  >;
  requireMajor(envelope.format, name, path);
  if (known === undefined && envelope.required) {
    throw unknownFormat(path, `it has a note RECORE/${name} that a reader must know`);
  }
  return envelope.body;
}

function requireMajor([major, minor]: readonly [number, number], name: string, path: string): void {
  if (major === FORMAT[0] || (major === TABLE_FORMAT[0] && TABLES.has(name))) return;
  throw unknownFormat(path, `the note RECORE/${name} has format ${major}.${minor}`);
}

function readJson(note: Note, { name, path }: { name: string; path: string }): unknown {
  try {
    return JSON.parse(note.desc.toString("utf8"));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw badCore(path, `the note RECORE/${name} is not JSON: ${reason}`);
  }
}

function parse(
  schema: z.ZodMiniType,
  value: unknown,
  { name, path }: { name: string; path: string },
): unknown {
  const result = schema.safeParse(value, INTERPRETED);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue?.path.join(".") || "its body";
  throw badCore(path, `the note RECORE/${name} is malformed: ${where}: ${issue?.message ?? "wrong shape"}`);
}

function unknownFormat(path: string, what: string): CrError {
  return new CrError("FORMAT_VERSION", `read core ${path}: ${what}, this version reads ${FORMAT.join(".")}`, {
    hint: "use the version of Recore that wrote it, or a newer one",
    data: { path },
  });
}
