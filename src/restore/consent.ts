/**
 * What a restore only does with consent: `--skip KIND:ID` for each. All that is asked for is told at once. What was
 * left out of the core by consent is asked for again, so that whoever restores it knows.
 */
import { CrError } from "../errors.js";
import type { CpuFeatures } from "../host/cpu-features.js";
import type { ProcessState } from "../state/process.js";
import type { SoftError } from "../state/soft-error.js";

/** Something that can be done without. */
interface Lack {
  /** `KIND:ID` of `--skip`. */
  readonly skip: string;
  readonly what: string;
  /** The core tells of it already. */
  readonly isTold: boolean;
}

export interface ConsentOptions {
  /** `KIND:ID` of every `--skip`. */
  readonly skip: readonly string[];
  /** cr does not stay its parent. */
  readonly detach: boolean;
  readonly cpu: CpuFeatures;
}

export interface Consented {
  /** Without what is left out. */
  readonly state: ProcessState;
  readonly softErrors: readonly SoftError[];
}

/** UNSUPPORTED_STATE that names everything without its consent, and the options that give it. */
export function requireConsent(state: ProcessState, options: ConsentOptions): Consented {
  const { cpu, skip, detach } = options;
  const lacks = [...leftOut(state), ...lackingFeatures(state, cpu), ...(detach ? deathSignal(state) : [])];
  const missing = lacks.filter((lack) => !skip.includes(lack.skip));
  if (missing.length > 0) {
    const flags = missing.map((lack) => `--skip ${lack.skip}`).join(" ");
    const list = missing.map(({ skip, what }) => `${skip}: ${what}`).join("; ");
    throw new CrError("UNSUPPORTED_STATE", `restore the program: it would lack ${list}`, {
      hint: `add ${flags} to go without${missing.some(isDeathSignal) ? ", or leave out --detach" : ""}`,
      data: { missing: missing.map((lack) => lack.skip) },
    });
  }
  const isAlone = lacks.some(isDeathSignal);
  return {
    state: isAlone ? { ...state, process: { ...state.process, parentDeathSignal: 0 } } : state,
    softErrors: lacks
      .filter(({ isTold }) => !isTold)
      .map(({ skip, what }) => ({ kind: "skipped", id: skip, message: `it goes on without ${what}` })),
  };
}

function leftOut({ process }: ProcessState): Lack[] {
  return process.leftOut.map(({ skip, what }) => ({ skip, what, isTold: true }));
}

/** Programs choose their code by the CPU they start on, once: an instruction that is missing now is SIGILL. */
function lackingFeatures({ host }: ProcessState, cpu: CpuFeatures): Lack[] {
  const recorded = host.cpu;
  if (recorded === undefined) return [];
  return recorded.features
    .filter((feature) => !cpu.features.includes(feature))
    .map((feature) => ({
      skip: `cpu:${feature}`,
      what: `the instructions ${feature} of ${recorded.model}, which ${cpu.model} has not`,
      isTold: false,
    }));
}

/** A program that wants to die with its parent would die as soon as cr leaves it. */
function deathSignal({ process: { parentDeathSignal } }: ProcessState): Lack[] {
  if (parentDeathSignal === 0) return [];
  const what = `the signal ${parentDeathSignal} it asked for when its parent ends, and that would be cr`;
  return [{ skip: `pdeathsig:${parentDeathSignal}`, what, isTold: false }];
}

function isDeathSignal({ skip }: Lack): boolean {
  return skip.startsWith("pdeathsig:");
}
