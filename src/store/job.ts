/**
 * A job: one program watched over time, a folder of generations in the home folder. Its name comes from the user or
 * from the program. Who may write to it at a time is lock.ts; what is in it, generation.ts.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { CrError } from "../errors.js";
import { homeFolder, makePrivateFolder } from "./home.js";

export interface Job {
  readonly name: string;
  readonly folder: string;
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}$/;

/** The name of a job that was given none: `<comm>-<pid>`, with anything a name may not hold as `_`. */
export function defaultJobName(comm: string, pid: number): string {
  return `${comm.replace(/[^A-Za-z0-9_.+-]/g, "_").replace(/^[.+-]/, "_") || "_"}-${pid}`;
}

/** The job of a name, its folder (mode 0700) made where missing. USAGE for a name that is no plain file name. */
export function openJob(name: string, home: string = homeFolder()): Job {
  const folder = jobFolder(name, home);
  makePrivateFolder(folder);
  return { name, folder };
}

/** A job that is there already: NO_SUCH_JOB. */
export function findJob(name: string, home: string = homeFolder()): Job {
  const folder = jobFolder(name, home);
  if (existsSync(folder)) return { name, folder };
  throw new CrError("NO_SUCH_JOB", `looking for job ${name} in ${home}: there is none of this name`, {
    hint: "name one of the folders there, or set CR_HOME to where the jobs are",
  });
}

/** All jobs by name. */
export function listJobs(home: string = homeFolder()): readonly Job[] {
  if (!existsSync(home)) return [];
  return readdirSync(home, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && NAME.test(entry.name))
    .map((entry) => ({ name: entry.name, folder: join(home, entry.name) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function jobFolder(name: string, home: string): string {
  if (NAME.test(name)) return join(home, name);
  throw new CrError("USAGE", `naming a job: "${name}" found, up to 64 letters, digits and _ . + - required`, {
    hint: "choose another --name, one that begins with a letter, a digit or _",
  });
}
