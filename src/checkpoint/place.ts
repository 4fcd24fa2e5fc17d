/**
 * The last step of a checkpoint on disk: what is whole under a temporary name gets its own, at once. A file takes the
 * place of a file; with a folder on either side the two change places, and the older one is removed.
 */
import { lstatSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { MANIFEST_NAME } from "../core/manifest.js";
import { renameAs } from "../tracee/file-names.js";
import { isNativeError } from "../tracee/native-error.js";

/** The files of a bundle, and nothing else. */
const OF_BUNDLE = new RegExp(`^(core\\.\\d+|${MANIFEST_NAME.replace(".", "\\.")})$`);

/** Renames `from` to `to`; what was there is replaced only with `force`. Throws `NativeError` EEXIST, … */
export function moveIntoPlace(from: string, to: string, force: boolean): void {
  const isExchange = force && (isFolder(to) ? isBundle(to) : isFolder(from));
  if (!isExchange) {
    renameAs(from, to, force ? "replace" : "new");
    return;
  }
  try {
    renameAs(from, to, "exchange");
  } catch (error) {
    if (isNativeError(error, "ENOENT")) renameAs(from, to, "new");
    else if (isNativeError(error, "EINVAL", "ENOSYS")) moveAside(from, to);
    else throw error;
    if (!isThere(from)) return;
  }
  removeCheckpoint(from);
}

/** Where two names cannot be exchanged (NFS): the older one is under a temporary name for an instant, then gone. */
function moveAside(from: string, to: string): void {
  const aside = `${from}.older`;
  renameAs(to, aside, "new");
  try {
    renameAs(from, to, "new");
  } catch (error) {
    renameAs(aside, to, "new");
    throw error;
  }
  removeCheckpoint(aside);
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** True for a folder with a manifest, cores of members, and nothing else. */
export function isBundle(path: string): boolean {
  if (!isFolder(path)) return false;
  const names = readdirSync(path);
  return names.includes(MANIFEST_NAME) && names.every((name) => OF_BUNDLE.test(name));
}

/** Removes a core, or a folder with the files of a bundle; files of others and the folder they are in stay. */
export function removeCheckpoint(path: string): void {
  if (!isFolder(path)) {
    unlinkSync(path);
    return;
  }
  const names = readdirSync(path);
  for (const name of names.filter((one) => OF_BUNDLE.test(one))) unlinkSync(join(path, name));
  if (names.every((name) => OF_BUNDLE.test(name))) rmdirSync(path);
}
