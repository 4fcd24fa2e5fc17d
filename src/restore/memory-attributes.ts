/** What mappings have besides content, protection and advice: locks, names, and on which memory nodes they lie. */
import { type Address, pageUp } from "../state/address.js";
import type { SoftError } from "../state/soft-error.js";
import type { Vma } from "../state/vma.js";
import { tryOwnCall } from "../tracee/own-call.js";
import type { RemoteCall } from "../tracee/remote.js";
import { Arguments } from "./arguments.js";
import type { Workshop } from "./workshop.js";

const MLOCK_ONFAULT = 1;
/** prctl(2); needs CONFIG_ANON_VMA_NAME. */
const PR_SET_VMA = 0x53564d41;
const PR_SET_VMA_ANON_NAME = 0;
const NAMED = /^\[anon(?:_shmem)?:(.*)\]$/s;
/** A name has at most 80 bytes (ANON_VMA_NAME_MAX_LEN): that many fit where arguments are put. */
const NAMES_PER_BATCH = 256;

/** Locks what was locked. */
export function lockMemory(workshop: Workshop, vmas: readonly Vma[]): void {
  const locked = vmas.filter((vma) => vma.flags.includes("lo"));
  workshop.run("lock its memory", locked.filter(hasAllPages).map(lockCall));
  // Where there is nothing to bring in the kernel marks it locked and says ENOMEM (mlock(2)).
  workshop.runAnyway(locked.filter((vma) => !hasAllPages(vma)).map(lockCall));
}

/** Not without access, nor behind the end of a file. */
function hasAllPages({ start, end, prot, offset, file }: Vma): boolean {
  return prot[0] === "r" && (file === null || offset + end - start <= pageUp(BigInt(file.sizeBytes)));
}

function lockCall(vma: Vma): RemoteCall {
  const range: [Address, bigint] = [vma.start, vma.end - vma.start];
  if (vma.flags.includes("lf")) return { name: "mlock2", args: [...range, MLOCK_ONFAULT] };
  return { name: "mlock", args: range };
}

/** Memory nodes and names, before the pages are there. */
export function describeMemory(workshop: Workshop, vmas: readonly Vma[]): void {
  placeMemory(workshop, vmas);
  nameMemory(workshop, vmas);
}

/** mbind(2): policies are few, mappings may be many. */
function placeMemory(workshop: Workshop, vmas: readonly Vma[]): void {
  const args = new Arguments(workshop.data);
  const known = new Map<string, readonly [Address | number, number]>();
  const calls = vmas.flatMap(({ start, end, policy }): RemoteCall[] => {
    if (policy === undefined) return [];
    const { mode, nodes } = policy;
    const key = nodes.toString("hex");
    // One more than there are bits: the kernel counts one off (set_mempolicy(2)).
    const mask = known.get(key) ?? (nodes.length === 0 ? [0, 0] : [args.put(nodes), nodes.length * 8 + 1]);
    known.set(key, mask);
    return [{ name: "mbind", args: [start, end - start, mode, ...mask, 0] }];
  });
  workshop.run("set the memory policy of its mappings", calls, args.bytes());
}

/** Names of anonymous memory; a kernel that has none was told of by `lostNames`. */
function nameMemory(workshop: Workshop, vmas: readonly Vma[]): void {
  const byName = new Map<string, Vma[]>();
  for (const vma of vmas) {
    const name = NAMED.exec(vma.path)?.[1];
    if (name === undefined) continue;
    const named = byName.get(name);
    if (named) named.push(vma);
    else byName.set(name, [vma]);
  }
  if (byName.size === 0 || !namesAreKept()) return;
  const all = [...byName];
  for (let at = 0; at < all.length; at += NAMES_PER_BATCH) {
    const args = new Arguments(workshop.data);
    const calls = all.slice(at, at + NAMES_PER_BATCH).flatMap(([name, named]) => {
      const text = args.put(Buffer.from(`${name}\0`));
      return named.map(({ start, end }): RemoteCall => {
        return { name: "prctl", args: [PR_SET_VMA, PR_SET_VMA_ANON_NAME, start, end - start, text] };
      });
    });
    workshop.run("name its memory", calls, args.bytes());
  }
}

/** Names that this kernel cannot give. */
export function lostNames(vmas: readonly Vma[], kept = namesAreKept): SoftError[] {
  const names = new Set(vmas.map(({ path }) => path).filter((path) => NAMED.test(path)));
  if (names.size === 0 || kept()) return [];
  const message = `its memory is not called ${[...names].join(", ")}: this kernel gives no names (CONFIG_ANON_VMA_NAME)`;
  return [{ kind: "mapping", id: "", message }];
}

/** Asks for no name of an empty range: a kernel without names says EINVAL. */
function namesAreKept(): boolean {
  return tryOwnCall("prctl", PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0, 0, 0) === 0;
}
