/**
 * The shapes that the nouns are made of (shape.ts), read as `z.` of schema.ts. Objects leave out keys that they do not know.
 */
import { at, type Inferred, isRecord, kindOf, misfit, quoted, readAt, ZodType } from "./shape.js";

export type { Inferred as infer, Outcome } from "./shape.js";
export { ZodType };

export class NumberShape extends ZodType<number> {
  min(least: number): NumberShape {
    return this.#bounded((value) => value >= least, `at least ${least}`);
  }

  max(most: number): NumberShape {
    return this.#bounded((value) => value <= most, `at most ${most}`);
  }

  nonnegative(): NumberShape {
    return this.min(0);
  }

  positive(): NumberShape {
    return this.#bounded((value) => value > 0, "above 0");
  }

  #bounded(fits: (value: number) => boolean, required: string): NumberShape {
    return new NumberShape((value) => {
      const number = this.parse(value);
      if (!fits(number)) throw misfit(`${number}, ${required} is required`);
      return number;
    });
  }
}

export class StringShape extends ZodType<string> {
  /** `pattern` must not be global: it would go on where it stopped. */
  regex(pattern: RegExp): StringShape {
    return new StringShape((value) => {
      const text = this.parse(value);
      if (!pattern.test(text)) throw misfit(`${quoted(text)}, like ${pattern} is required`);
      return text;
    });
  }
}

export class ArrayShape<T> extends ZodType<T[]> {
  min(least: number): ArrayShape<T> {
    return this.#bounded((count) => count >= least, `at least ${least}`);
  }

  length(count: number): ArrayShape<T> {
    return this.#bounded((actual) => actual === count, `${count}`);
  }

  #bounded(fits: (count: number) => boolean, required: string): ArrayShape<T> {
    return new ArrayShape((value) => {
      const items = this.parse(value);
      if (!fits(items.length)) throw misfit(`${items.length} items, ${required} are required`);
      return items;
    });
  }
}

export type Fields = Readonly<Record<string, ZodType>>;
export type Left<F extends Fields> = {
  [Key in keyof F]: undefined extends Inferred<F[Key]> ? Key : never;
}[keyof F];
export type Whole<F extends Fields> = { [Key in Exclude<keyof F, Left<F>>]: Inferred<F[Key]> } & {
  [Key in Left<F>]?: Inferred<F[Key]>;
};
export type Flat<T> = { [Key in keyof T]: T[Key] };

export class ObjectShape<F extends Fields> extends ZodType<Flat<Whole<F>>> {
  readonly fields: F;

  constructor(fields: F) {
    const entries = Object.entries(fields);
    super((value) => {
      if (!isRecord(value)) throw misfit(`${kindOf(value)}, an object is required`);
      const found: Record<string, unknown> = {};
      for (const [key, shape] of entries) {
        if (Object.hasOwn(value, key)) found[key] = readAt(shape, key, value[key]);
        else if (shape.absent === undefined) throw at(misfit("is missing"), key);
        else {
          const standard = shape.absent();
          if (standard !== undefined) found[key] = standard;
        }
      }
      return found as Flat<Whole<F>>;
    });
    this.fields = fields;
  }

  extend<More extends Fields>(more: More): ObjectShape<F & More> {
    return new ObjectShape({ ...this.fields, ...more });
  }
}

/** An object; what is left out must be optional or have a default. */
export function object<F extends Fields>(fields: F): ObjectShape<F> {
  return new ObjectShape(fields);
}

/** A list of any length. */
export function array<T>(item: ZodType<T>): ArrayShape<T> {
  return new ArrayShape((value) => {
    if (!Array.isArray(value)) throw misfit(`${kindOf(value)}, a list is required`);
    if (item instanceof AnyShape) return [...value];
    return value.map((one: unknown, index) => readAt(item, index, one));
  });
}

export type Items<S extends readonly ZodType[]> = { -readonly [Index in keyof S]: Inferred<S[Index]> };

/** A list of so many items, each of a shape of its own. */
export function tuple<const S extends readonly ZodType[]>(shapes: S): ZodType<Items<S>> {
  return new ZodType((value) => {
    if (!Array.isArray(value)) throw misfit(`${kindOf(value)}, a list is required`);
    if (value.length !== shapes.length) {
      throw misfit(`${value.length} items, ${shapes.length} are required`);
    }
    return shapes.map((shape, index) => readAt(shape, index, value[index])) as Items<S>;
  });
}

/** Any text. */
export function string(): StringShape {
  return new StringShape((value) => {
    if (typeof value !== "string") throw misfit(`${kindOf(value)}, a text is required`);
    return value;
  });
}

const BASE64 = /^(?:[0-9a-zA-Z+/]{4})*(?:[0-9a-zA-Z+/]{2}==|[0-9a-zA-Z+/]{3}=)?$/;

/** Bytes as base64, still as text. */
export function base64(): StringShape {
  return string().regex(BASE64);
}

/** Any number that JSON can say but those that are too large for one. */
export function number(): NumberShape {
  return new NumberShape((value) => {
    if (typeof value !== "number" || !Number.isFinite(value)) {
      throw misfit(`${kindOf(value)}, a number is required`);
    }
    return value;
  });
}

/** A whole number that a double holds exactly. */
export function int(): NumberShape {
  return new NumberShape((value) => {
    if (typeof value !== "number" || !Number.isSafeInteger(value)) {
      throw misfit(`${typeof value === "number" ? value : kindOf(value)}, a whole number is required`);
    }
    return value;
  });
}

/** True or false. */
export function boolean(): ZodType<boolean> {
  return new ZodType((value) => {
    if (typeof value !== "boolean") throw misfit(`${kindOf(value)}, true or false is required`);
    return value;
  });
}

class AnyShape extends ZodType<unknown> {}

/** Anything, also nothing. */
export function unknown(): ZodType<unknown> {
  return new AnyShape(
    (value) => value,
    () => undefined,
  );
}

/** One of these words. */
function enumeration<const Word extends string>(words: readonly Word[]): ZodType<Word> {
  return new ZodType((value) => {
    if (!(words as readonly unknown[]).includes(value)) {
      throw misfit(`${quoted(value)}, one of ${words.join(", ")} is required`);
    }
    return value as Word;
  });
}

export class LiteralShape<Word extends string> extends ZodType<Word> {
  readonly word: Word;
  constructor(word: Word) {
    super(enumeration([word]).parse);
    this.word = word;
  }
}

/** This word. */
export function literal<const Word extends string>(word: Word): LiteralShape<Word> {
  return new LiteralShape(word);
}

/** One of these objects, told by the word that each has under `key`. */
export function discriminatedUnion<const V extends readonly ZodType[]>(
  key: string,
  variants: V,
): ZodType<Inferred<V[number]>> {
  const known = new Map<unknown, ZodType>(
    variants.map((variant) => {
      const word: unknown = variant instanceof ObjectShape ? variant.fields[key] : undefined;
      if (!(word instanceof LiteralShape)) throw new RangeError(`a variant without a word under ${key}`);
      return [word.word, variant];
    }),
  );
  return new ZodType((value) => {
    if (!isRecord(value)) throw misfit(`${kindOf(value)}, an object is required`);
    const variant = Object.hasOwn(value, key) ? known.get(value[key]) : undefined;
    if (variant === undefined) throw at(misfit(`one of ${[...known.keys()].join(", ")} is required`), key);
    return variant.parse(value) as Inferred<V[number]>;
  });
}

export { enumeration as enum };
