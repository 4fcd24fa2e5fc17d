/**
 * The two processes behind a lazy restore, and a hand on the tap: with the FIFO of `Pace` nothing is filled in but what
 * is touched, until it is opened.
 */
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "./eventually.js";
import { type Found, findOfScene } from "./process.js";
import type { Scene } from "./scene.js";

/** Page server and guardian of the scene's program, once both are there. */
export async function serversOf(scene: Scene): Promise<{ readonly server: Found; readonly guardian: Found }> {
  const named = (name: string) => findOfScene(scene.folder).find(({ command }) => isNamed(command, name));
  const server = await eventually("a page server is there", () => named("cr-lazy"));
  const guardian = await eventually("its guardian is there", () => named("cr-guard"));
  return { server, guardian };
}

/** Waits until both have ended. */
export async function serversGone(scene: Scene): Promise<void> {
  const isLeft = ({ command }: Found) => isNamed(command, "cr-lazy") || isNamed(command, "cr-guard");
  await eventually("page server and guardian are gone", () => !findOfScene(scene.folder).some(isLeft));
}

/** The guardian's command line is one word, blanks and the pid. */
function isNamed(command: string, name: string): boolean {
  return command.split(" ")[0]?.split("/").at(-1) === name;
}

export interface Pace {
  /** For the environment of `cr restore --lazy`. */
  readonly env: Readonly<Record<string, string>>;
  /** Fills on without a break. */
  letGo(): void;
}

/** A tap that is shut. */
export function shutTap(scene: Scene): Pace {
  const path = join(scene.folder, "pace");
  execFileSync("mkfifo", [path]);
  return {
    env: { CR_LAZY_PACE: path },
    letGo: () => {
      const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
      writeSync(fd, "g");
      closeSync(fd);
    },
  };
}
