/**
 * seccomp filters: they see the calls that cr runs in the process. While cr holds it they are suspended; should cr die
 * in between, they are back at once and see the last of these calls, which must not be the end of the program.
 */
import { hasHostCapability } from "../host/capabilities.js";
import { mayNotify, SECCOMP, seccompAction } from "../state/seccomp.js";
import { readFilters } from "../tracee/seccomp.js";
import { SYSCALL, type SyscallName } from "../tracee/syscalls.js";
import { interiorCalls, threadCalls } from "./interior.js";
import type { Refusal } from "./refusal.js";

const RT_SIGRETURN = 15;
const PASSES = [SECCOMP.allow, SECCOMP.log];
const HARMLESS = [...PASSES, SECCOMP.errno, SECCOMP.trace];

/** What can be said before the stop: `mode` is the highest of any thread (proc_pid_status(5)). */
export function refusedSeccomp(mode: number): Refusal[] {
  if (mode === 0) return [];
  if (mode === 1) return [{ kind: "seccomp", id: "", what: "seccomp strict mode" }];
  if (hasHostCapability("CAP_SYS_ADMIN")) return [];
  const what =
    "a seccomp filter, which would see the calls cr runs inside the process (CAP_SYS_ADMIN can suspend it)";
  return [{ kind: "seccomp", id: "", what }];
}

/** The filters that all threads share, oldest first, or why they cannot be saved. To be asked in the stop. */
export function lookAtFilters(
  tids: readonly number[],
  mode: number,
): { filters: Buffer[]; refusals: Refusal[] } {
  if (mode === 0) return { filters: [], refusals: [] };
  const all = tids.map(readFilters);
  const [filters] = all;
  const refusal = (what: string) => ({ filters: [], refusals: [{ kind: "seccomp", id: "", what }] });
  if (filters === undefined || filters === null || all.includes(null)) {
    return refusal("a seccomp filter that the kernel does not show");
  }
  const key = (one: Buffer[] | null) => one?.map((filter) => filter.toString("base64")).join();
  if (all.some((one) => key(one) !== key(filters)))
    return refusal("seccomp filters that differ between its threads");
  if (filters.some(mayNotify)) return refusal("a seccomp filter that hands calls to another process");
  const deadly = deadlyCall(filters);
  if (deadly !== null) {
    return refusal(
      `a seccomp filter that would not let it live through ${deadly} if cr died in that instant`,
    );
  }
  return { filters, refusals: [] };
}

/** The first call with which an orphan would not get home: killed or trapped, or not let back by sigreturn. */
function deadlyCall(filters: readonly Buffer[]): string | null {
  const names = [
    ...new Set([...interiorCalls(0n), ...threadCalls(0n)].map(({ name }) => name)),
    "timer_gettime" as const,
  ];
  if (!returns(filters, RT_SIGRETURN, PASSES)) return "rt_sigreturn";
  return names.find((name) => killedBy(name, filters)) ?? null;
}

/** Whether a filter would kill or trap the program for this call. */
export function killedBy(name: SyscallName, filters: readonly Buffer[]): boolean {
  return !returns(filters, SYSCALL[name], HARMLESS);
}

function returns(filters: readonly Buffer[], call: number, actions: readonly number[]): boolean {
  return filters.every((filter) => actions.includes(seccompAction(filter, call) ?? -1));
}
