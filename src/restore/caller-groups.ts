/**
 * Groups inside a user namespace that does not map them: all of them show as the overflow group, and nobody may set
 * them there, but they hold. So a program that had those of the caller has them again by being its child.
 */
import type { Credentials } from "../state/credentials.js";
import type { ProcessState } from "../state/process.js";
import { ownCredentials } from "./check-credentials.js";

/** The state with the caller's groups under the names that they have here; unchanged with null. */
export function asSeenHere(state: ProcessState, callerGroups: readonly number[] | null): ProcessState {
  if (callerGroups === null) return state;
  const { groups: here } = ownCredentials();
  const seen = (recorded: Credentials): Credentials =>
    isSame(recorded.groups, callerGroups) ? { ...recorded, groups: here } : recorded;
  return {
    ...state,
    credentials: seen(state.credentials),
    threads: state.threads.map((thread) =>
      thread.credentials === undefined ? thread : { ...thread, credentials: seen(thread.credentials) },
    ),
  };
}

function isSame(some: readonly number[], others: readonly number[]): boolean {
  const inOrder = (ids: readonly number[]) => [...new Set(ids)].sort((a, b) => a - b).join();
  return inOrder(some) === inOrder(others);
}
