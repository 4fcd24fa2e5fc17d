/** The ids of a program in a user namespace of its own, as it knows them (user_namespaces(7)). */
import type { Credentials } from "../state/credentials.js";
import type { ProcessState } from "../state/process.js";
import type { Spaces } from "../state/space.js";

/** The namespaces that a process itself is in: the root of a tree may be outside of those that it records. */
export function spacesAround({
  process: { spaces, pid, tree },
}: Pick<ProcessState, "process">): Spaces | undefined {
  return spaces?.rootOutside && pid === tree ? undefined : spaces;
}

type Rows = NonNullable<Spaces["user"]>["uids"];

/** Its ids inside; those that have no name there stay as they are. Without a namespace all do. */
export function asInside(credentials: Credentials, user: Spaces["user"]): Credentials {
  if (user === undefined) return credentials;
  const { uid, gid, groups } = credentials;
  return {
    ...credentials,
    uid: mapped(uid, user.uids),
    gid: mapped(gid, user.gids),
    groups: groups.map((group) => inside(group, user.gids)),
  };
}

function mapped({ real, effective, saved, fs }: Credentials["uid"], rows: Rows): Credentials["uid"] {
  const of = (id: number) => inside(id, rows);
  return { real: of(real), effective: of(effective), saved: of(saved), fs: of(fs) };
}

function inside(id: number, rows: Rows): number {
  const row = rows.find(([, outside, count]) => id >= outside && id < outside + count);
  return row === undefined ? id : row[0] + id - row[1];
}
