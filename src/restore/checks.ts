/**
 * Everything that can be refused before a process is started, in one go: who runs it, on what machine, within
 * which limits, with which files, under which pid. The owner of the core is checked apart, before it is read
 * (check-owner.ts); descriptors by files.ts.
 */
import { CrError } from "../errors.js";
import type { ProcessState } from "../state/process.js";
import type { SoftError } from "../state/soft-error.js";
import { checkCredentials, ownCredentials } from "./check-credentials.js";
import { checkHugePages } from "./check-huge-pages.js";
import { checkLimits, ownBounds } from "./check-limits.js";
import { checkMachine, type Machine } from "./check-machine.js";
import { checkMappedFiles } from "./check-mapped-files.js";
import { checkPidFree } from "./check-pid.js";
import { describeKind, foundFile, statOf } from "./file-look.js";
import { spacesAround } from "./inside-users.js";
import { lostNames } from "./memory-attributes.js";
import type { FilesPolicy } from "./regular-file.js";
import { checkFilters } from "./seccomp.js";

export interface CheckOptions {
  /** From `cpuComponents` of the tracee side. */
  readonly machine: Machine;
  /** The core, open for reading. */
  readonly coreFd: number;
  /** The executable as the user named it. */
  readonly exe?: string | undefined;
  readonly policy: FilesPolicy;
  /** The boot of the checkpoint is this one. */
  readonly sameBoot: boolean;
  /** A core of another tool. */
  readonly foreign: boolean;
  /** It is restored with the process tree that it was saved with. */
  readonly inTree?: boolean;
  /** `--pid keep`: the recorded pid has to be free. */
  readonly keepPid: boolean;
}

/**
 * Runs all checks; the first that fails throws its CrError (CREDENTIALS, UNSUPPORTED_STATE, XSTATE_MISMATCH,
 * LIMIT_TOO_LOW, EXE_MISSING, EXE_CHANGED, FILE_MISSING, FILE_CHANGED, PID_TAKEN, …). Returns what
 * differs and is accepted. Waits up to 5 seconds for a zombie to leave the pid.
 */
export async function checkBeforeRestore(state: ProcessState, options: CheckOptions): Promise<SoftError[]> {
  if (!options.inTree) requireNoTree(state);
  const own = ownCredentials();
  // In a user namespace of its own the program has all rights, until it gives them up.
  const checked = spacesAround(state)?.user === undefined ? state.threads : [];
  for (const { credentials = state.credentials } of checked) {
    checkCredentials(credentials, { own, foreign: options.foreign });
  }
  checkFilters(state);
  checkMachine(state, options.machine);
  if (!options.foreign) checkLimits(state, ownBounds());
  const soft = checkMappedFiles(state, options);
  if (spacesAround(state)?.mnt === undefined) soft.push(...checkWorkingFolder(state.process.cwd, options));
  const tids = new Set([state.process.pid, ...state.threads.map(({ tid }) => tid)]);
  if (options.keepPid) for (const tid of tids) await checkPidFree(tid, undefined, options.inTree);
  else requireLoneThread(state);
  checkHugePages(state.vmas);
  soft.push(...lostNames(state.vmas));
  return soft;
}

/** What members of a tree share is only whole in the bundle. */
function requireNoTree({ process: { pid, tree } }: ProcessState): void {
  if (!tree) return;
  const message = `restore process ${pid} alone: it was saved with the process tree of ${tree}`;
  throw new CrError("UNSUPPORTED_STATE", message, {
    hint: "restore the folder that the core is in: cr restore FOLDER",
  });
}

/** Threads know one another by their ids, so only a lone one can do with another. */
function requireLoneThread({ threads, process }: ProcessState): void {
  if (threads.length === 1 && process.mainEnded === undefined) return;
  const message = `restore the program under another pid: it has ${threads.length} threads, which know their ids`;
  throw new CrError("UNSUPPORTED_STATE", message, { hint: "leave out --pid new" });
}

/** The working folder: there (FILE_MISSING), a folder, and under `rollback` the same one (FILE_CHANGED). */
export function checkWorkingFolder(
  cwd: ProcessState["process"]["cwd"],
  { policy, sameBoot, foreign }: Pick<CheckOptions, "policy" | "sameBoot" | "foreign">,
): SoftError[] {
  if (foreign && cwd.path === "") return [];
  const stat = statOf(cwd.path);
  const found = foundFile(stat);
  const hint = "put the folder back, or add --files keep to work in the one that is there";
  if (!stat.isDirectory()) {
    const message = `enter the working folder ${cwd.path}: it is ${describeKind(stat)} now`;
    throw new CrError("FILE_CHANGED", message, { hint: "put the folder back", data: { path: cwd.path } });
  }
  const isSame = found.ino === cwd.ino && (!sameBoot || found.dev === cwd.dev);
  if (isSame || foreign) return [];
  const message = `enter the working folder ${cwd.path}: it was replaced by another folder since the checkpoint`;
  if (policy === "rollback") throw new CrError("FILE_CHANGED", message, { hint, data: { path: cwd.path } });
  return [{ kind: "cwd", id: cwd.path, message: `${message}; the one that is there is used` }];
}
