/**
 * Named points at which tests make cr fail: CR_FAULT=name kills it there with SIGKILL, CR_FAULT=name:error makes
 * it fail as if a step had failed, CR_FAULT=name:hold stops it there until it is continued. Without the variable this
 * does nothing.
 */

/** A point of a checkpoint or restore, by name. */
export function faultPoint(name: string): void {
  const wanted = process.env.CR_FAULT;
  if (wanted === name) process.kill(process.pid, "SIGKILL");
  if (wanted === `${name}:hold`) process.kill(process.pid, "SIGSTOP");
  if (wanted === `${name}:error`) throw new Error(`fault point ${name}`);
}
