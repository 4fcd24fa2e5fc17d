/** Who the process is: the Uid, Gid, Groups, Cap* and securebits of credentials(7); note RECORE/CREDENTIALS. */
import { u64, z } from "./schema.js";

const four = z.object({ real: z.int(), effective: z.int(), saved: z.int(), fs: z.int() });

export const credentialsSchema = z.object({
  uid: four,
  gid: four,
  groups: z.array(z.int()),
  capabilities: z.object({
    inheritable: u64,
    permitted: u64,
    effective: u64,
    bounding: u64,
    ambient: u64,
  }),
  securebits: z.int(),
});
export type Credentials = z.infer<typeof credentialsSchema>;
