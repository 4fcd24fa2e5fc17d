/**
 * Namespaces made again (state/space.ts), by a process of ours that is there for nothing else: cr enters them, makes in
 * there what belongs there, and starts the program, which is born in them. With the last process they are gone.
 */
import { CrError } from "../errors.js";
import { hasCapability } from "../host/capabilities.js";
import type { SoftError } from "../state/soft-error.js";
import type { Spaces } from "../state/space.js";
import { putLoopbackUp } from "../tracee/loopback.js";
import { readMappings } from "../tracee/maps.js";
import { Newborn } from "../tracee/newborn.js";
import type { RemoteCall } from "../tracee/remote.js";
import { VISITED, Visit, writeSetting } from "../tracee/space.js";
import { Arguments } from "./arguments.js";
import { spawnFailed } from "./spawn.js";
import { freeAddress, Workshop } from "./workshop.js";

/** CLONE_NEWUTS, CLONE_NEWIPC and CLONE_NEWNET of linux/sched.h. */
const NEW = { uts: 0x0400_0000, ipc: 0x0800_0000, net: 0x4000_0000 } as const;
/** Room for two names. */
const DATA_BYTES = 4096;
const FD_BASE = 100;

/** While it lasts cr is in them; nothing may be awaited. */
export interface MadeSpaces extends Disposable {
  readonly softErrors: readonly SoftError[];
}

/** Makes and enters the recorded namespaces, if any. NOT_PERMITTED without CAP_SYS_ADMIN; RESTORE_FAILED. */
export function makeSpaces(spaces: Spaces | undefined): MadeSpaces {
  const kinds = VISITED.filter((kind) => spaces?.[kind] !== undefined);
  if (spaces === undefined || kinds.length === 0) return { softErrors: [], [Symbol.dispose]() {} };
  requireRights(kinds);
  using maker = startMaker();
  const workshop = openHere(maker);
  const flags = kinds.reduce((all, kind) => all | NEW[kind], 0);
  workshop.run("make its namespaces", [{ name: "unshare", args: [flags] }]);
  putNames(workshop, spaces);
  const visit = Visit.to(maker.pid, kinds);
  try {
    return { softErrors: furnish(spaces), [Symbol.dispose]: () => visit[Symbol.dispose]() };
  } catch (error) {
    visit[Symbol.dispose]();
    throw error;
  }
}

function requireRights(kinds: readonly string[]): void {
  if (hasCapability("CAP_SYS_ADMIN")) return;
  const message = `restore the program in ${kinds.join(", ")} namespaces of its own: cr may not make them`;
  throw new CrError("NOT_PERMITTED", message, { hint: "run cr as root (CAP_SYS_ADMIN)" });
}

function startMaker(): Newborn {
  try {
    const plain = { pid: null, group: "shared", personality: 0, fds: [], fdBase: FD_BASE, clocks: "" } as const;
    return Newborn.spawn({ exe: process.execPath, ...plain });
  } catch (error) {
    throw spawnFailed(error, process.execPath, 0);
  }
}

function openHere(newborn: Newborn): Workshop {
  const entry = newborn.runToEntry();
  const start = freeAddress(readMappings(newborn.pid), DATA_BYTES + 8192);
  return Workshop.open(newborn, entry, { start, dataBytes: DATA_BYTES });
}

function putNames(workshop: Workshop, { uts }: Spaces): void {
  if (uts === undefined) return;
  const args = new Arguments(workshop.data);
  const call = (name: "sethostname" | "setdomainname", text: string): RemoteCall => {
    return { name, args: [args.text(text), text.length] };
  };
  const calls = [call("sethostname", uts.hostname), call("setdomainname", uts.domainname)];
  workshop.run("name its host", calls, args.bytes());
}

/** What is set in the namespaces that we are in now; cosmetic where this kernel does not let us. */
function furnish({ ipc, net }: Spaces): SoftError[] {
  if (net?.loopbackUp) putLoopbackUp();
  const settings = [...(ipc?.settings ?? []), ...(net?.settings ?? [])];
  return settings
    .filter(({ name, value }) => !writeSetting(name, value))
    .map(({ name, value }) => ({
      kind: "setting",
      id: name,
      message: `the setting ${name.replaceAll("/", ".")} of its namespace could not be put back to ${value.replaceAll("\t", " ")}`,
    }));
}
