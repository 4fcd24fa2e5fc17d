/** Soft errors: state that could not be saved or put back exactly, told to the user and kept in the core. */
import { z } from "./schema.js";

export const softErrorSchema = z.object({
  /** What kind of state, in the words of docs/limits.md: `timer`, `session`, … */
  kind: z.string(),
  /** Which one: `fd:7`, `tid:120`, an address; empty when there is only one. */
  id: z.string(),
  /** One sentence for the user. */
  message: z.string(),
});
export type SoftError = z.infer<typeof softErrorSchema>;

/** Note RECORE/SOFT. */
export const softErrorsSchema = z.array(softErrorSchema);
