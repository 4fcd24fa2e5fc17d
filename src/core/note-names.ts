/** Names of note types by owner, as linux/elf.h and docs/core-format.md give them. */
import { DELTA_NOTE, FRAMES_NOTE, RECORE_NOTES, RECORE_OWNER } from "./recore-notes.js";
import { NT } from "./standard-notes.js";

/** LINUX note 0x205 (Linux 6.12): which component of the XSAVE area stands where. */
const NT_X86_XSAVE_LAYOUT = 0x205;

export const NOTE_NAMES: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  CORE: Object.fromEntries(
    Object.entries(NT)
      .filter(([name]) => name !== "X86_XSTATE")
      .map(([name, type]) => [type, `NT_${name}`]),
  ),
  LINUX: { [NT.X86_XSTATE]: "NT_X86_XSTATE", [NT_X86_XSAVE_LAYOUT]: "NT_X86_XSAVE_LAYOUT" },
  [RECORE_OWNER]: {
    ...Object.fromEntries(Object.entries(RECORE_NOTES).map(([name, type]) => [type, name])),
    [FRAMES_NOTE]: "FRAMES",
    [DELTA_NOTE]: "DELTA",
  },
};
