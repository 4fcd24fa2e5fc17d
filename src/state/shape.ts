/**
 * A shape: what a JSON value must look like, and the typed value that it becomes. shapes.ts has those there are. Names and
 * rules are those of zod, and a test compares the two (test/state/shape.test.ts): a restore waited longer for zod, which
 * compiles validators for many calls, than for all other checks.
 */

/** Where in the value and why it does not fit. */
export interface Issue {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

export type Outcome<T> =
  | { readonly success: true; readonly data: T; readonly error?: undefined }
  | { readonly success: false; readonly error: { readonly issues: readonly [Issue] } };

/** The first place that does not fit; `path` grows from the inside. */
class Misfit extends Error {
  readonly path: (string | number)[] = [];
}

/** For transformations that find out more: the value does not fit. */
export interface Context {
  addIssue(issue: { readonly code: "custom" } & Issue): void;
}

/** Any shape; what fits it becomes a T. */
export class ZodType<T = unknown> {
  /** What stands for a value that is not there; undefined where one must be. */
  readonly absent: (() => T) | undefined;
  /** The value of a value that fits; throws otherwise. */
  readonly parse: (value: unknown) => T;

  constructor(parse: (value: unknown) => T, absent?: () => T) {
    this.parse = parse;
    this.absent = absent;
  }

  safeParse(value: unknown): Outcome<T> {
    try {
      return { success: true, data: this.parse(value) };
    } catch (error) {
      if (!(error instanceof Misfit)) throw error;
      return { success: false, error: { issues: [{ path: error.path, message: error.message }] } };
    }
  }

  optional(): ZodType<T | undefined> {
    return new ZodType<T | undefined>(
      (value) => (value === undefined ? undefined : this.parse(value)),
      () => undefined,
    );
  }

  nullable(): ZodType<T | null> {
    return new ZodType<T | null>((value) => (value === null ? null : this.parse(value)), this.absent);
  }

  /** What is left out is this; a list is copied for each. */
  default(standard: NoInfer<T>): ZodType<T> {
    const copy = () => (Array.isArray(standard) ? ([...standard] as T) : standard);
    return new ZodType<T>((value) => (value === undefined ? copy() : this.parse(value)), copy);
  }

  readonly(): ZodType<T extends readonly (infer Item)[] ? readonly Item[] : Readonly<T>> {
    return this as never;
  }

  transform<To>(change: (value: T, context: Context) => To): ZodType<To> {
    const context: Context = {
      addIssue: ({ path, message }) => {
        throw at(misfit(message), ...path);
      },
    };
    return new ZodType((value) => change(this.parse(value), context));
  }
}

/** What a value of the shape becomes. */
export type Inferred<Type> = Type extends ZodType<infer T> ? T : never;

/** The value of a part; what does not fit in it is named with where it is. */
export function readAt<T>(shape: ZodType<T>, key: string | number, value: unknown): T {
  try {
    return shape.parse(value);
  } catch (error) {
    if (error instanceof Misfit) at(error, key);
    throw error;
  }
}

/** To be thrown by whoever finds that a value does not fit. */
export function misfit(message: string): Misfit {
  return new Misfit(message);
}

/** The same, further inside. */
export function at(error: Misfit, ...path: readonly (string | number)[]): Misfit {
  error.path.unshift(...path);
  return error;
}

/** Whether it is an object with names, no list. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value in words, without itself. */
export function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  return value === null ? "null" : Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

/** A value as JSON, the beginning of it where it is long. */
export function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
