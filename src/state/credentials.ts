/** Who the process is: the Uid, Gid, Groups, Cap* and securebits of credentials(7); note RECORE/CREDENTIALS. */
import { int, u64, z } from "./schema.js";

const four = z.object({ real: int, effective: int, saved: int, fs: int });

export const credentialsSchema = z.object({
  uid: four,
  gid: four,
  groups: z.array(int),
  capabilities: z.object({
    inheritable: u64,
    permitted: u64,
    effective: u64,
    bounding: u64,
    ambient: u64,
  }),
  securebits: int,
});
export type Credentials = z.infer<typeof credentialsSchema>;
