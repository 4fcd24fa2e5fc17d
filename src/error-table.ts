/** Every code with the paragraph that `cr explain CODE` prints and docs/errors.md repeats. */
export const ERROR_TABLE = {
  NO_SUCH_PROCESS:
    "There is no process with this pid, or it ended while it was looked at. Check the pid with ps; a pid inside a container differs from the host's.",
  NOT_PERMITTED:
    "The kernel does not let cr trace or read this process. A user may trace own processes only, and fewer where kernel.yama.ptrace_scope is above 0; CAP_SYS_PTRACE lifts both. At a restore: a pid cannot be chosen, or no namespace made; cr doctor tells what would allow it.",
  ALREADY_TRACED:
    "Another tracer (gdb, strace, another cr) is attached to the process. Linux allows one tracer a thread. Detach the other one first.",
  UNSUPPORTED_PROCESS:
    "This kind of process cannot be checkpointed: a kernel thread, a zombie, a 32-bit program, or cr itself.",
  UNSUPPORTED_STATE:
    "The process has state that this version cannot save exactly. Each item is named. Nothing was stopped and nothing was written.",
  FREEZE_TIMEOUT:
    "A thread did not stop in time: it sits in an uninterruptible wait (state D), mostly for a disk or a network file system. The process goes on. Try again later or with a longer --timeout.",
  MODE_UNAVAILABLE:
    "The way of copying that --mode asks for is not possible for this process on this host: its writes cannot be tracked, or there is not memory enough for a copy. Nothing was written. Without --mode cr takes the best way there is.",
  STOP_TOO_LONG:
    "The program would have to stand still for longer than --max-stop allows. Where that was known before, it was not stopped for the copy; where it turned out while it stood, it was let go at once. Nothing was written, and an older core stands. The message says how long it would have taken.",
  TARGET_CHANGED:
    "The process exited, was killed, called exec or was stopped by SIGSTOP while it was being checkpointed. No core was written.",
  REMOTE_CALL:
    "A system call that cr ran inside the process failed. The process has its own registers and memory back and goes on.",
  OUTPUT_EXISTS: "The output path exists. A checkpoint is never written over another unless --force says so.",
  OUTPUT_UNSAFE:
    "The output path is a symbolic link, a folder or something else that a core must not be written through.",
  OUTPUT_FAILED:
    "The core could not be written: the disk is full, or the folder is missing or not writable. The process goes on, an earlier core under that name is intact, and no partial file was left.",
  BAD_CORE:
    "The file is not a core that can be read: not ELF, not a core, for another machine, or with headers, segments or notes that contradict one another.",
  CORE_UNREADABLE: "The core file is missing, or cr may not open it. Check the path and its permissions.",
  CORE_TRUNCATED:
    "The core ends before the data that its headers promise. It was cut short, mostly by a full disk or an interrupted copy.",
  CORE_CORRUPT:
    "A checksum of the core does not match its bytes: the file was altered or the disk or memory failed.",
  CORE_NOT_OWNED:
    "The core belongs to another user, or others may write to it. A core is a program that will run with your rights; --trust says that you trust it. Root restores an ordinary user's core with that user's rights.",
  FORMAT_VERSION: "The core was written by a version of Recore whose format this one does not know.",
  FOREIGN_CORE:
    "A core that another tool wrote lacks something a restart cannot do without, and it could not be found otherwise.",
  EXE_MISSING: "The executable or a library that the program had mapped is not there any more.",
  EXE_CHANGED:
    "The executable or a mapped file differs from the one that was running (build-id, or size and time). Code and data of two versions cannot be mixed. Put the old file back.",
  FILE_CHANGED:
    "A file the program had open was changed in a way that cannot be rolled back. --files keep leaves all files as they are.",
  FILE_MISSING: "A file or folder the program had open, or worked in, is not there any more.",
  FD_OUTSIDE:
    "A descriptor was connected to something outside the checkpoint (pipe, socket, terminal) that a restore cannot make again. --fd N=PATH|inherit|null places it. A TCP connection goes on only after checkpoint --kill and while its packets are held (--tcp-hold); --tcp close lets the program find it closed.",
  PID_TAKEN:
    "Another process has the pid. The program may know its own pid, so it gets another only with --pid new; --pid ns gives it its own in a pid namespace.",
  CREDENTIALS:
    "The program ran as another user, or with other capabilities, and cr has not the rights to give it these back.",
  XSTATE_MISMATCH: "The program used vector registers (AVX, AVX-512, AMX) that this CPU does not have.",
  VDSO_MISMATCH:
    "The core was taken under another kernel, or on another CPU, whose vdso differs. Its functions are led to those of this kernel, but here one of them has no counterpart, or a thread of the program stood inside one at the checkpoint. Another checkpoint of the program will do, or the kernel of the core.",
  LIMIT_TOO_LOW: "A resource limit or kernel setting of this host is too low for the program.",
  CPU_UNAVAILABLE:
    "A CPU that was asked for does not exist, is offline, or is outside what the cpuset of this process allows.",
  CGROUP: "A cpuset cgroup could not be made or joined.",
  RESTORE_FAILED:
    "The program could not be rebuilt. No instruction of it ran and the process that was to become it is gone.",
  PAGE_SERVER_LOST:
    "The page server of cr restore --lazy, or the guardian beside it, was killed before all memory was in place, or could not go on. The program was ended, because it would have read zeros. The core is as it was; restore it again.",
  NATIVE_MISSING:
    "The native library libcr.so is missing or does not fit: run npm run build (needs gcc and make). Or libzstd is missing, without which cores are neither compressed nor read from that form.",
  KERNEL_TOO_OLD: "The kernel lacks something Recore needs.",
  JOB_EXISTS: "A job with this name exists and is being watched by another cr.",
  NO_SUCH_JOB: "There is no job with this name.",
  DEMO_FAILED:
    "A step of cr demo did not go as told, or a claim on the screen did not hold. Whatever it had started is gone. cr doctor says what this host lacks.",
  USAGE: "The command line is wrong.",
  INTERNAL: "A defect in Recore itself. Please report it with the command and its output.",
} as const satisfies Record<string, string>;
