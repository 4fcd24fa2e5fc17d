/** The seccomp filters of a stopped thread (ptrace(2), PTRACE_SECCOMP_GET_FILTER): needs CAP_SYS_ADMIN. */
import { tryCall } from "./native.js";

/** BPF_MAXINSNS of 8 bytes. */
const FILTER_BYTES_MAX = 4096 * 8;
const ENOENT = 2;
/** CR_PEEK_FILTER of native/cr.h. */
const PEEK_FILTER = 2;

/** All of them, the oldest first; null when the kernel does not show them (permission, or a filter that is no classic BPF). */
export function readFilters(tid: number): Buffer[] | null {
  const filters: Buffer[] = [];
  for (;;) {
    const raw = Buffer.alloc(FILTER_BYTES_MAX);
    const bytes = tryCall("cr_peek", tid, PEEK_FILTER + filters.length, raw, raw.length);
    if (bytes === -ENOENT) return filters;
    if (bytes < 0) return null;
    filters.push(Buffer.from(raw.subarray(0, bytes)));
  }
}
