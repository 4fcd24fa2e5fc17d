/**
 * Values that fit a schema of zod, made from its own description of itself, and such values with one place spoilt: what the
 * shapes of state/shapes.ts are compared on.
 */
import { z } from "zod";

/** Numbers from 0 to below `count`, the same for the same seed. */
export type Dice = (count: number) => number;

export function diceOf(seed: number): Dice {
  let state = seed >>> 0 || 1;
  return (count) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % count;
  };
}

const TEXTS = ["", "a", "0x0", "0xffffffffffffffff", "rw-p", "00000000", "/a/b", "core.7", "AAEC", "/"];
const LONG_TEXTS = ["0".repeat(88), "0".repeat(16), `recore-${"0".repeat(32)}`];
const NUMBERS = [0, 1, 2, 3, 64, 4096, -1, 1.5, 2 ** 40];
const ODD = [
  null,
  -1,
  1.5,
  2 ** 53,
  Number.POSITIVE_INFINITY,
  "",
  "0x",
  "0xG",
  "rw-x",
  "A",
  "AAA=",
  true,
  [],
  {},
  [0, 0, 0, 0, 0, 0],
];

/** A value that the schema takes; a key with a default or an optional one may be left out. */
export function fitting(schema: z.core.$ZodType, dice: Dice): unknown {
  const { def } = schema._zod;
  const inner = () => fitting((def as unknown as { innerType: z.core.$ZodType }).innerType, dice);
  switch (def.type) {
    case "object": {
      const { shape } = def as z.core.$ZodObjectDef;
      const fields = Object.entries(shape).map(([key, field]) => [key, fitting(field, dice)]);
      return Object.fromEntries([...fields, ["unknown", 1]].filter(([, value]) => value !== undefined));
    }
    case "array": {
      const one = () => fitting((def as z.core.$ZodArrayDef).element, dice);
      return firstThat(schema, [[one()], [], [one(), one()], [one(), one(), one(), one(), one()]], dice);
    }
    case "tuple":
      return (def as z.core.$ZodTupleDef).items.map((item) => fitting(item, dice));
    case "union": {
      const { options } = def as z.core.$ZodUnionDef;
      return fitting(options[dice(options.length)] as z.core.$ZodType, dice);
    }
    case "enum": {
      const words = Object.values((def as z.core.$ZodEnumDef).entries);
      return words[dice(words.length)];
    }
    case "literal":
      return (def as z.core.$ZodLiteralDef<string>).values[0];
    case "boolean":
      return dice(2) === 1;
    case "nullable":
      return dice(3) === 0 ? null : inner();
    case "optional":
    case "default":
      return dice(3) === 0 ? undefined : inner();
    case "readonly":
      return inner();
    case "pipe":
      return fitting((def as z.core.$ZodPipeDef).in, dice);
    case "unknown":
      return ["0x1000", 1, 2, 3, 1];
    default:
      return firstThat(schema, def.type === "number" ? NUMBERS : [...TEXTS, ...LONG_TEXTS], dice);
  }
}

/** The first that fits, from anywhere in the list on. */
function firstThat(schema: z.core.$ZodType, candidates: readonly unknown[], dice: Dice): unknown {
  const from = dice(candidates.length);
  const turned = [...candidates.slice(from), ...candidates.slice(0, from)];
  const found = turned.find((one) => z.safeParse(schema, one).success);
  if (found === undefined) throw new RangeError(`no value for ${JSON.stringify(schema._zod.def)}`);
  return found;
}

/** The value with one place replaced by something odd, or left out. */
export function spoilt(value: unknown, dice: Dice): unknown {
  const keys = typeof value === "object" && value !== null ? Object.keys(value) : [];
  const key = keys[dice(keys.length + 1)];
  if (key === undefined) return ODD[dice(ODD.length)];
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string, unknown>;
  if (dice(6) > 0) copy[key] = spoilt(copy[key], dice);
  else if (Array.isArray(copy)) copy.splice(Number(key), 1);
  else delete copy[key];
  return copy;
}
