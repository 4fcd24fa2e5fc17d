/**
 * Device numbers as Recore writes them: `major:minor`, decimal. Node gives the kernel's packed dev_t; this is
 * the unpacking of gnu_dev_major(3) and gnu_dev_minor(3).
 */

/** `major:minor` in decimal of a `dev` or `rdev` of stat(2). */
export function formatDevice(dev: bigint): string {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xffff_f000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffff_ff00n);
  return `${major}:${minor}`;
}
