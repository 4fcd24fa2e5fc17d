/**
 * The unmodified Debian programs of programs.test.ts: each computes for some seconds, those of this file in one thread,
 * and writes an output that shows every lost or repeated step. File names are in its working folder.
 */
import { existsSync } from "node:fs";
import { THREADED_PROGRAMS } from "./threaded-programs.js";

export interface Program {
  readonly name: string;
  /** The Debian package that brings it, for the message when it is missing. */
  readonly package: string;
  readonly argv: readonly string[];
  /** Its standard input. */
  readonly input?: string;
  /** Size of its file `corpus`, the same text for all programs of one size. */
  readonly corpusMib?: number;
  /** Other files in its working folder, by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** Expected exit status. */
  readonly status: number;
  /** The file to compare, in its working folder; standard output when left out. */
  readonly result?: string;
}

const PYTHON = `
import hashlib, sys
x, seen, words = 1, {}, []
for i in range(1, 8500001):
    x = (x * 6364136223846793005 + i) % (10 ** 60 + 7)
    seen[x % 4001] = seen.get(x % 4001, 0) + i * 0.5
    if i % 10000 == 0:
        words.append(str(x))
        print(i, hashlib.sha256("".join(words[-50:]).encode()).hexdigest(), flush=True)
print(sorted(seen.items())[::100])
sys.exit(7)
`;

const PERL = `
my (%h, @list, $x); $x = 1; $| = 1;
for my $i (1 .. 36000000) {
  $x = ($x * 1103515245 + 12345) % 2147483648;
  $h{$x % 5000} .= chr(65 + $x % 26) if $i % 7 == 0;
  print "$i $x\\n" if $i % 50000 == 0;
}
print "$_ ", length $h{$_}, " ", substr($h{$_}, -20), "\\n" for sort { $a <=> $b } keys %h;
exit 3;
`;

const AWK = (steps: number) => `BEGIN {
  for (i = 0; i < ${steps}; i++) {
    x = (x * 1103 + i) % 100003; s[x % 1000] += i
    if (i % 100000 == 0) { print i, x; fflush() }
  }
  for (i = 0; i < 1000; i++) print i, s[i]
  exit 5
}`;

const SQL = `
create table t (a integer primary key, b integer, c text);
with recursive n(x) as (select 1 union all select x + 1 from n where x < 600000)
  insert into t select x, x * 7919 % 104729, hex(x * x) from n;
create index i on t (b);
select count(*), sum(b), max(c) from t;
select b % 13, count(*), sum(length(c)), group_concat(distinct b % 7) from t group by b % 13;
with recursive n(x) as (select 1 union all select x + 1 from n where x < 14000000) select sum(x * x % 97) from n;
select sum(p.b * q.b % 101) from t p join t q on p.b = q.a where p.a < 400000;
`;

const TCL = `
set x 1
for {set i 0} {$i < 14000000} {incr i} {
  set x [expr {($x * 1103 + $i) % 100003}]
  if {$i % 100000 == 0} { puts "$i $x"; flush stdout; lappend all $x; dict incr d [expr {$x % 17}] }
}
puts [list [lsort -integer $all] $d]
exit 9
`;

const GP =
  's=0;for(n=1,90,s+=sum(k=1,400000,moebius(k*n)*k%1009);print(n," ",s));print(factor(10^41+7));quit(4)';

export const PROGRAMS: readonly Program[] = [
  { name: "python3", package: "python3", argv: ["/usr/bin/python3.11", "-c", PYTHON], status: 7 },
  { name: "perl", package: "perl", argv: ["perl", "-e", PERL], status: 3 },
  {
    name: "bc",
    package: "bc",
    argv: ["bc", "-l"],
    input: "scale=1500\na(1)*4\nscale=1800\na(1)*4\ne(1)\n",
    status: 0,
  },
  { name: "mawk", package: "mawk", argv: ["mawk", AWK(27_000_000)], status: 5 },
  { name: "tclsh", package: "tcl", argv: ["tclsh"], input: TCL, status: 9 },
  { name: "sqlite3", package: "sqlite3", argv: ["sqlite3", ":memory:"], input: SQL, status: 0 },
  { name: "gp", package: "pari-gp", argv: ["gp", "-q", "-f"], input: GP, status: 4 },
  {
    name: "zstd",
    corpusMib: 5,
    package: "zstd",
    argv: ["zstd", "-q", "--single-thread", "--no-asyncio", "-18", "corpus"],
    status: 0,
    result: "corpus.zst",
  },
  {
    name: "bzip2",
    corpusMib: 100,
    package: "bzip2",
    argv: ["bzip2", "-k", "corpus"],
    status: 0,
    result: "corpus.bz2",
  },
  {
    name: "gzip",
    corpusMib: 48,
    package: "gzip",
    argv: ["gzip", "-9", "-n", "-c", ...times(4, "corpus")],
    status: 0,
  },
  {
    name: "sha512sum",
    corpusMib: 48,
    package: "coreutils",
    argv: ["sha512sum", "-b", ...times(75, "corpus")],
    status: 0,
  },
  {
    name: "sort",
    corpusMib: 48,
    package: "coreutils",
    argv: ["sort", "--parallel=1", "-S", "1G", "-f", "-d", "-k3", "-o", "sorted", ...times(4, "corpus")],
    status: 0,
    result: "sorted",
  },
  { name: "busybox", package: "busybox-static", argv: ["busybox", "awk", AWK(7_000_000)], status: 5 },
  ...THREADED_PROGRAMS,
];

function times(count: number, argument: string): string[] {
  return Array.from({ length: count }, () => argument);
}

/** Fails with the command that helps when a program is not installed. */
export function requirePrograms(): void {
  const missing = PROGRAMS.filter(
    ({ argv: [command = ""] }) => !["", "/bin/", "/usr/bin/"].some((at) => existsSync(at + command)),
  );
  if (missing.length > 0) {
    throw new Error(
      `these tests need: apt-get install ${missing.map((program) => program.package).join(" ")}`,
    );
  }
}
