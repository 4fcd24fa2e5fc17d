/** Starts the newborn under the recorded pid, and says plainly why when the kernel refuses. */
import { CrError } from "../errors.js";
import type { ProcessState } from "../state/process.js";
import { isNativeError } from "../tracee/native-error.js";
import { Newborn } from "../tracee/newborn.js";
import type { Inheritance } from "./inherit.js";

/** READ_IMPLIES_EXEC would make every mapping of the newborn executable (personality(2)). */
const READ_IMPLIES_EXEC = 0x0040_0000;
const ADDR_NO_RANDOMIZE = 0x0004_0000;

export interface SpawnParts {
  readonly state: ProcessState;
  readonly exe: string;
  readonly keepPid: boolean;
  readonly group: "session" | "own" | "shared";
  readonly inheritance: Inheritance;
  /** From `planClocks`. */
  readonly clocks: string;
}

/** PID_TAKEN, NOT_PERMITTED (the pid cannot be chosen), EXE_MISSING, LIMIT_TOO_LOW or RESTORE_FAILED. */
export function spawn({ state, exe, keepPid, group, inheritance, clocks }: SpawnParts): Newborn {
  const { pid, personality } = state.process;
  try {
    return Newborn.spawn({
      exe,
      pid: keepPid ? pid : null,
      group,
      personality: startPersonality(personality),
      fds: inheritance.fds,
      fdBase: inheritance.base,
      clocks,
    });
  } catch (error) {
    throw spawnFailed(error, exe, pid);
  }
}

/** Under what personality an image is started that is to become a program with the recorded one. */
export function startPersonality(recorded: number): number {
  return (recorded & ~READ_IMPLIES_EXEC) | ADDR_NO_RANDOMIZE;
}

/** What went wrong when a process was made or its executable was started, in the user's words. */
export function spawnFailed(error: unknown, exe: string, pid: number): unknown {
  if (!isNativeError(error)) return error;
  const known: Readonly<Record<string, CrError>> = {
    EEXIST: new CrError("PID_TAKEN", `cannot start the program as process ${pid}: the pid was just taken`, {
      hint: "try again, or add --pid ns",
    }),
    EPERM: new CrError(
      "NOT_PERMITTED",
      `cannot start the program as process ${pid}: choosing a pid is not permitted`,
      {
        hint: "run cr as root or with CAP_CHECKPOINT_RESTORE, or use --pid ns",
      },
    ),
    ENOENT: new CrError("EXE_MISSING", `cannot start ${exe}: it, or the interpreter it names, is not there`, {
      hint: "put the file back, or name the executable: cr restore CORE EXE",
    }),
    EACCES: new CrError("NOT_PERMITTED", `cannot start ${exe}: it is not executable for you`, {
      hint: `look at its mode and at the mount options: ls -l '${exe}'`,
    }),
    EMFILE: new CrError("LIMIT_TOO_LOW", `cannot start ${exe}: too few descriptors are allowed`, {
      hint: "raise ulimit -n",
    }),
    EINVAL: new CrError(
      "LIMIT_TOO_LOW",
      `cannot start ${exe} as process ${pid}: the kernel refuses the pid or a descriptor number`,
      {
        hint: "raise ulimit -n and kernel.pid_max on this host",
      },
    ),
    EAGAIN: new CrError("LIMIT_TOO_LOW", `cannot start ${exe}: no more processes are allowed`, {
      hint: "raise ulimit -u, or the pids limit of the cgroup",
    }),
  };
  return (
    known[error.errno] ??
    new CrError("RESTORE_FAILED", `cannot start ${exe}: ${error.errno}`, {
      hint: "try to run it by hand",
      cause: error,
    })
  );
}
