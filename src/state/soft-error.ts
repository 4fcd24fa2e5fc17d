/** Soft errors: state that could not be saved or put back exactly, told to the user and kept in the core. */
import { text, z } from "./schema.js";

export const softErrorSchema = z.object({
  /** What kind of state, in the words of docs/limits.md: `timer`, `session`, … */
  kind: text,
  /** Which one: `fd:7`, `tid:120`, an address; empty when there is only one. */
  id: text,
  /** One sentence for the user. */
  message: text,
});
export type SoftError = z.infer<typeof softErrorSchema>;

/** Note RECORE/SOFT. */
export const softErrorsSchema = z.array(softErrorSchema);
