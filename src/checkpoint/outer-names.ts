/**
 * Files of a program with mounts of its own: a restore opens them by their names outside, so that is where they have to
 * be, too. The others are refused by name. Its working folder it enters itself.
 */
import { lstatSync } from "node:fs";
import { dirname } from "node:path";
import { pathInside } from "../tracee/maps.js";
import type { ProcessFacts } from "../tracee/process-facts.js";
import { boundPaths } from "../tracee/unix-paths.js";

const DELETED = " (deleted)";
/** What is no file, or opened by the program itself. */
const NAMELESS = /^\/(?:memfd:|proc\/|sys\/|SYSV|dev\/zero |dev\/hugepages\/|anon_hugepage)/;

interface Same {
  readonly ino: bigint;
  readonly dev?: bigint;
}

/** What of it has another name outside, or none. */
export function elsewhere(pid: number, facts: ProcessFacts): { kind: string; what: string }[] {
  const { exe, vmas, descriptors } = facts;
  const wrong: string[] = [];
  if (!isThere(pid, exe, inside(pid, exe))) wrong.push(`the executable ${exe}`);
  const mapped = vmas.filter(({ path, kind }) => path.startsWith("/") && kind !== "anonymous");
  wrong.push(...mapped.filter(({ path, ino }) => !isThere(pid, path, { ino })).map(({ path }) => path));
  const open = descriptors.filter(({ link }) => link.startsWith("/"));
  wrong.push(...open.filter(({ link, stat }) => !isThere(pid, link, stat)).map(({ link }) => link));
  const addresses = boundPaths(pid);
  const bound = descriptors.flatMap(({ stat }) => (stat.isSocket() ? [addresses.get(stat.ino) ?? "/"] : []));
  wrong.push(...bound.filter((path) => !isThere(pid, path, inside(pid, path))));
  return [...new Set(wrong)].map((what) => ({
    kind: "mnt",
    what: `${what}, which is not to be found by this name outside of its own mounts`,
  }));
}

/** A file that was deleted is made again in its folder. */
function isThere(pid: number, path: string, same: Same | null): boolean {
  if (NAMELESS.test(path)) return true;
  if (path.endsWith(DELETED)) return isThere(pid, dirname(path), inside(pid, dirname(path)));
  const found = statOf(path);
  if (found === null || same === null) return false;
  return found.ino === same.ino && (same.dev === undefined || found.dev === same.dev);
}

function inside(pid: number, path: string): Same | null {
  return statOf(pathInside(pid, path));
}

function statOf(path: string): { ino: bigint; dev: bigint } | null {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false }) ?? null;
}
