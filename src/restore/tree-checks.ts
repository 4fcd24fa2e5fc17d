/** Everything of a process tree that can be refused before a process is started: what checks.ts does, for all members. */
import { fstatSync } from "node:fs";
import type { Bundle, LivingMember } from "../core/bundle.js";
import { CrError } from "../errors.js";
import { cpuFeatures } from "../host/cpu-features.js";
import type { ProcessState } from "../state/process.js";
import type { SoftError } from "../state/soft-error.js";
import { cpuComponents } from "../tracee/native.js";
import { vdsoCrc32c } from "../tracee/vdso.js";
import { requireIntact } from "./check-intact.js";
import { checkOwner } from "./check-owner.js";
import { checkPidFree } from "./check-pid.js";
import { checkBeforeRestore } from "./checks.js";
import { requireConsent } from "./consent.js";
import type { FamilyPlan } from "./family-plan.js";
import type { RestoreOptions } from "./restore.js";

export interface TreeCheckOptions {
  readonly options: RestoreOptions;
  readonly plan: FamilyPlan;
  readonly detach: boolean;
  readonly sameBoot: boolean;
}

/**
 * Checks owners, checksums, host, files and numbers of all members; the first that fails throws its CrError. Returns
 * what differs and is accepted. Waits up to 5 seconds for each zombie to leave its number.
 */
export async function checkMembers(bundle: Bundle, check: TreeCheckOptions): Promise<SoftError[]> {
  const { options, plan, detach, sameBoot } = check;
  const { living, tree } = bundle;
  refuseOptions(options);
  for (const { core, state } of living) {
    checkOwner({ path: core.path, stat: fstatSync(core.fileFd) }, { trust: options.trust ?? false });
    requireIntact(core, state);
  }
  refuseShares(living);
  const [root] = living;
  if (detach && root !== undefined) requireNoDeathSignal(root.state);
  const machine = { components: cpuComponents() };
  refuseOtherVdso(living);
  const soft: SoftError[] = [];
  const consent = { skip: options.skip ?? [], detach: false, cpu: cpuFeatures() };
  for (const { state } of living) soft.push(...requireConsent(state, consent).softErrors);
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

/** A program that wants to die with its parent would die as soon as cr leaves it. */
function requireNoDeathSignal({ process: { parentDeathSignal } }: ProcessState): void {
  if (parentDeathSignal === 0) return;
  const message = `cannot let the tree go on by itself: its root asked for signal ${parentDeathSignal} when its parent ends`;
  throw new CrError("UNSUPPORTED_STATE", `${message}, and that would be cr`, {
    hint: "restore it in the foreground, without --detach",
  });
}

/** The detours that a lone program gets into another kernel's vdso are not made for trees. */
function refuseOtherVdso(living: readonly LivingMember[]): void {
  const own = vdsoCrc32c("self");
  const other = living.find(({ state }) => state.host.vdsoCrc32c !== null && state.host.vdsoCrc32c !== own);
  if (other === undefined) return;
  const message = `make process ${other.member.pid} again: its vdso is not the one of the running kernel`;
  throw new CrError("VDSO_MISMATCH", message, {
    hint: `restore the tree under Linux ${other.state.host.kernel}, on which it was saved`,
  });
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

/** exec gives each process its own. */
function refuseShares(living: readonly LivingMember[]): void {
  for (const { member } of living) {
    const [share] = member.shares;
    if (share === undefined) continue;
    const message = `make process ${member.pid} again: it shares its ${share.what} with process ${share.with} without being its thread`;
    throw new CrError("UNSUPPORTED_STATE", message, {
      hint: "such a tree cannot be restored by this version",
    });
  }
}
