/** Everything of a process tree that can be refused before a process is started: what checks.ts does, for all members. */
import { fstatSync } from "node:fs";
import type { Bundle, LivingMember } from "../core/bundle.js";
import { CrError } from "../errors.js";
import type { SoftError } from "../state/soft-error.js";
import { cpuComponents } from "../tracee/native.js";
import { requireIntact } from "./check-intact.js";
import { checkOwner } from "./check-owner.js";
import { checkPidFree } from "./check-pid.js";
import { checkBeforeRestore } from "./checks.js";
import type { FamilyPlan } from "./family-plan.js";
import type { RestoreOptions } from "./restore.js";

export interface TreeCheckOptions {
  readonly options: RestoreOptions;
  readonly plan: FamilyPlan;
  readonly sameBoot: boolean;
}

/** Whether a tree may be restored so, and by us, and whether its cores are whole. USAGE, CORE_NOT_OWNED, CORE_CORRUPT, … */
export function requireWholeTree({ living }: Bundle, options: RestoreOptions): void {
  refuseOptions(options);
  for (const { core, state } of living) {
    checkOwner({ path: core.path, stat: fstatSync(core.fileFd) }, { trust: options.trust ?? false });
    requireIntact(core, state);
  }
}

/**
 * Checks host, files and numbers of all members; the first that fails throws its CrError. Returns what differs and is
 * accepted. Waits up to 2 seconds for each zombie to leave its number.
 */
export async function checkMembers(bundle: Bundle, check: TreeCheckOptions): Promise<SoftError[]> {
  const { options, plan, sameBoot } = check;
  const { living, tree } = bundle;
  requireImages(living, plan);
  const machine = { components: cpuComponents() };
  const soft: SoftError[] = [];
  for (const { core, state } of living) {
    const parts = { machine, coreFd: core.fd, policy: options.files ?? "rollback", sameBoot } as const;
    soft.push(
      ...(await checkBeforeRestore(state, { ...parts, foreign: false, keepPid: true, inTree: true })),
    );
  }
  const dead = tree.members.flatMap(({ pid, zombie }) => (zombie === null ? [] : [pid]));
  for (const pid of [...dead, ...plan.ghosts]) await checkPidFree(pid, undefined, true);
  return soft;
}

/** What means one process and not many. */
function refuseOptions({ exe, pid }: RestoreOptions): void {
  if (exe !== undefined) {
    throw new CrError(
      "USAGE",
      `restore a process tree with the executable ${exe}: each process has its own`,
      {
        hint: "leave the executable out: the cores name them",
      },
    );
  }
  if (pid === "new") {
    throw new CrError(
      "UNSUPPORTED_STATE",
      "restore a process tree under other pids: its processes know one another by them",
      {
        hint: "leave out --pid new",
      },
    );
  }
}

/** Who never calls exec has the executable of the member that it is a copy of. */
function requireImages(living: readonly LivingMember[], { images }: FamilyPlan): void {
  const paths = new Map(living.map(({ member, state }) => [member.pid, state.process.exe.path]));
  for (const [pid, original] of images) {
    const [own, other] = [paths.get(pid), paths.get(original)];
    if (own === other) continue;
    const message = `make process ${pid} again: it shares memory or descriptors with process ${original} and has another executable, ${own} beside ${other}`;
    throw new CrError("UNSUPPORTED_STATE", message, {
      hint: "such a tree cannot be restored by this version",
    });
  }
}
