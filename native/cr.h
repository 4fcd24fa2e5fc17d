/*
 * libcr.so: the whole ABI on one page. Flat functions over integers and byte buffers: system calls and byte
 * loops, no policy. Each returns >= 0 or -errno. Addresses are user-space addresses (< 2^47), so an int64_t
 * carries them. ptrace functions must be called by the thread that seized or spawned the tracee.
 */
#ifndef CR_H
#define CR_H

#include <stddef.h>
#include <stdint.h>

#define CR_API __attribute__((visibility("default")))

#define CR_REGS_BYTES 216    /* struct user_regs_struct */
#define CR_FPREGS_BYTES 512  /* struct user_fpregs_struct */
#define CR_XSTATE_MAX 16384  /* XSAVE area, standard format; AMX needs 11008 */
#define CR_SIGINFO_BYTES 128 /* siginfo_t */
#define CR_CALLS_MAX 4096  /* of a batch */
#define CR_BATCHES_MAX 64
#define CR_RUN_MAX (1u << 20) /* bytes of one range of a bulk copy */
#define CR_FRAME_MAX (CR_RUN_MAX + CR_RUN_MAX / 128) /* bytes of a compressed frame: what cannot be compressed grows */

/* A range of a tracee's memory and its place in a file. */
struct cr_range {
  uint64_t addr, len, off;
};

/* A system call to run inside a tracee. */
struct cr_call {
  uint64_t nr, args[6];
  int64_t result;
};

/* Where remote calls run, and how a tracee left alone finds back (see remote.c). */
struct cr_site {
  uint64_t syscall_at;  /* address of a `syscall` instruction; followed by `ret` when guarded */
  uint64_t chain[3];    /* words that lead from that `ret` to rt_sigreturn */
  uint32_t chain_len;   /* 1..3; 0 = unguarded, for a process of our own */
  uint32_t stop_signal; /* out: the signal that interrupted the batch, 0 if none */
  uint64_t place;       /* borrowed memory: scratch bytes first, the orphan's frame at the end */
  uint64_t place_len;
  uint8_t orphan[CR_REGS_BYTES]; /* registers that an orphan goes on with */
  uint32_t options;              /* ptrace options beside our own while the batch runs: PTRACE_O_TRACECLONE, … */
  uint32_t keeps;                /* 1: it stays ours afterwards; the caller puts mask, registers and place back */
  uint64_t wait_at;              /* where an orphan waits first: a word, while it is 1 (futex(2)), and at +8 for how long
                                    at most, a struct timespec; 0: nowhere */
};

/* Calls of one tracee, with their results in memory at the start of its place. */
struct cr_batch {
  struct cr_site site;
  int32_t tid, call_count, scratch_len;
  int32_t result; /* out: 0 or -errno; -EINTR: site.stop_signal */
};

/* What ptrace tells of a stopped thread. */
struct cr_thread {
  uint8_t regs[CR_REGS_BYTES];
  uint8_t fpregs[CR_FPREGS_BYTES];
  uint8_t xstate[CR_XSTATE_MAX];
  uint64_t xstate_len;
  uint64_t sigmask;
  uint64_t rseq_addr;
  uint32_t rseq_size, rseq_sig, rseq_flags, pad;
  uint64_t robust_head, robust_len;
};

/* Scheduling of a thread (sched_getattr(2), ioprio_get(2), sched_getaffinity(2)). */
struct cr_sched {
  uint32_t policy;
  int32_t nice;
  uint64_t flags;
  uint32_t priority;
  int32_t ioprio;
  uint64_t runtime, deadline, period;
  uint64_t affinity_len; /* bytes of affinity that the kernel filled */
  uint8_t affinity[1024];
};

/* A slice of a core's data and its compressed form, a zstd frame of its own (frames.c). */
struct cr_frame {
  uint64_t plain_off, plain_len; /* at most CR_RUN_MAX */
  uint64_t off, len;             /* len 0: all zero, nothing is stored */
  uint32_t crc, pad;             /* CRC32C of the compressed bytes */
};

/* Something that a process has: a descriptor, or with type KCMP_VM and its like what there is one of. */
struct cr_held {
  int32_t pid, fd;
};

/* A run of pages with the same categories (PAGEMAP_SCAN, linux/fs.h). */
struct cr_pages {
  uint64_t start, end, categories;
};

_Static_assert(sizeof(struct cr_range) == 24, "cr_range");
_Static_assert(sizeof(struct cr_call) == 64, "cr_call");
_Static_assert(sizeof(struct cr_site) == 288, "cr_site");
_Static_assert(offsetof(struct cr_site, orphan) == 56, "cr_site.orphan");
_Static_assert(sizeof(struct cr_batch) == 304, "cr_batch");
_Static_assert(sizeof(struct cr_thread) == 17168, "cr_thread");
_Static_assert(offsetof(struct cr_thread, xstate_len) == 17112, "cr_thread.xstate_len");
_Static_assert(sizeof(struct cr_sched) == 1080, "cr_sched");
_Static_assert(sizeof(struct cr_pages) == 24, "cr_pages");
_Static_assert(sizeof(struct cr_held) == 8, "cr_held");
_Static_assert(sizeof(struct cr_frame) == 40, "cr_frame");

/* layouts.c: sizes and offsets of the structs above as uint32_t, for the test that TypeScript agrees. */
CR_API int64_t cr_layouts(uint8_t *out, int32_t size);

/* ptrace.c */
CR_API int64_t cr_seize(uint8_t *tids, int32_t count, uint8_t *results);    /* and interrupts; 0 or -errno each */
CR_API int64_t cr_wait(uint8_t *tids, int32_t count, uint8_t *statuses, int32_t timeout_ms); /* -errno each */
CR_API int64_t cr_resume(int32_t tid, int32_t signal);
CR_API int64_t cr_detach(uint8_t *tids, int32_t count, uint8_t *signals); /* 0 or -errno each in its place */
CR_API int64_t cr_get_thread(int32_t tid, uint8_t *thread, int32_t size);
CR_API int64_t cr_set_thread(int32_t tid, uint8_t *thread, int32_t size);
CR_API int64_t cr_set_registers(int32_t tid, uint8_t *regs, int32_t size);
CR_API int64_t cr_set_sigmask(int32_t tid, uint8_t *mask, int32_t size);
/* Signals queued (their count), or the nth seccomp filter, oldest first (its bytes; -ENOENT behind the last), or
 * CR_HARDWARE_BYTES: DR7, then of each thread area (set_thread_area(2)) whether it is there, and I/O ports, likewise. */
#define CR_PEEK_HARDWARE (-1)
#define CR_HARDWARE_BYTES 40
#define CR_PEEK_THREAD 0
#define CR_PEEK_PROCESS 1
#define CR_PEEK_FILTER 2
CR_API int64_t cr_peek(int32_t tid, int32_t what, uint8_t *out, int32_t size);

/* remote.c: runs the calls of stopped tracees, in order, and those of different ones side by side; no two batches may
 * have a tracee or a byte of their places in common. Calls and scratch bytes stand in order of the batches, and get
 * their results in place. -EINVAL: nothing was done. */
CR_API int64_t cr_remote(uint8_t *batches, int32_t count, uint8_t *calls, int32_t call_count, uint8_t *scratch,
                         int32_t scratch_len);

/* memory.c */
CR_API int64_t cr_mem_read(int32_t pid, int64_t addr, uint8_t *out, int64_t len);
CR_API int64_t cr_mem_write(int32_t pid, int64_t addr, uint8_t *in, int64_t len);

/*
 * bulk.c: ranges of whole pages, at most CR_RUN_MAX bytes each. cr_copy_out copies them out of a tracee, or with pid 0
 * out of the stash (addr is a place in it), to their places in a file, or with fd -1 in the stash; bytes written. For
 * a file crcs gets a uint32_t (CRC32C) for each page.
 */
#define CR_COPY_OVER 1  /* there may be something in the file, or room be reserved: zero pages become holes */
#define CR_COPY_LOOSE 2 /* the tracee runs: a page that is gone counts as zeros, with CR_COPY_GONE for its checksum */
#define CR_COPY_GENTLY 4 /* lets the other threads of the machine come first */
#define CR_COPY_DIRECT 8 /* past the page cache, where a write takes long: a few zeros are written with what is around them */
#define CR_COPY_BEGIN 16 /* only begins it: a handle for cr_end; what it was given must stay until then */
#define CR_COPY_GONE 0xffffffffu
CR_API int64_t cr_copy_out(int32_t pid, int32_t fd, uint8_t *ranges, int32_t count, uint8_t *crcs,
                           int32_t threads, uint8_t *stash, int64_t stash_len, int32_t flags);

/* fill.c: ranges of a core into a process (pid), into a file (out_fd; addr is the place there) or nowhere, and their
 * checksums. Ranges are of at most CR_FRAME_MAX bytes; frames in order of plain_off, none for a plain core. Bytes
 * written; -EBADMSG: a damaged frame. */
#define CR_FILL_FRESH 1 /* what is written to is zero so far */
CR_API int64_t cr_fill(int32_t pid, int32_t out_fd, int32_t fd, uint8_t *ranges, int32_t count, uint8_t *crcs,
                       uint8_t *frames, int32_t frame_count, int32_t flags, int32_t threads);

/* frames.c: compresses slices of fd and appends them to out_fd from out_off on, letting other threads come first; fills in
 * off, len and crc; the new end. -ENOSYS: no libzstd. */
CR_API int64_t cr_pack(int32_t fd, int32_t out_fd, int64_t out_off, uint8_t *frames, int32_t count,
                       int32_t level, int32_t threads);

/*
 * pagemap.c: fills runs of pages of a kind; *next gets where it stopped. Where it holds an address inside, a second thread
 * takes what is from there on, in half of the room each: not for CR_SCAN_PROTECT, of which nothing may be asked twice.
 */
#define CR_SCAN_HELD 0      /* present, swapped or guards */
#define CR_SCAN_WORDS 1     /* the same on kernels before 6.7 */
#define CR_SCAN_WRITTEN 2   /* of tracked mappings (UFFD_FEATURE_WP_ASYNC): written since it was protected */
#define CR_SCAN_PROTECT 3   /* the same, and protects them again in the same instant */
#define CR_SCAN_UNTRACKED 4 /* of other mappings: its own */
#define CR_SCAN_ABSENT 5    /* not present, of which some may be swapped or guards */
#define CR_SCAN_MARKED 6    /* with the mark of not having been written since some tracking protected it */
#define CR_SCAN_APART 7     /* not present as above, of mappings that are not tracked */
#define CR_SCAN_CHANGED 8   /* of tracked mappings: not present, or written since it was protected */
CR_API int64_t cr_scan(int32_t pagemap_fd, int64_t start, int64_t end, uint8_t *out, int32_t size,
                       uint8_t *next, int32_t kind);
/* The same for a file: its spans with data (lseek(2), SEEK_DATA), as cr_range {0, len, off}. */
CR_API int64_t cr_data_spans(int32_t fd, int64_t start, int64_t end, uint8_t *out, int32_t size, uint8_t *next);

/* lift.c: takes the write protection of a userfaultfd away from ranges, bit by bit: who writes there waits for no more than `step`
 * bytes. Only begins it, gently: a handle for cr_end. */
CR_API int64_t cr_lift(int32_t uffd, uint8_t *ranges, int32_t count, int64_t step);

/* list.c: a list of /proc; its length, -ENOSPC where out is too small. With CR_LIST_BEGIN only begins it, gently: a handle. */
#define CR_LIST_BEGIN 1
CR_API int64_t cr_read_list(const char *path, uint8_t *out, int64_t size, int32_t flags);

/* beside.c: waits for what was begun, once; its result. */
CR_API int64_t cr_end(int64_t begun);

/* spawn.c: with CR_SPAWN_SERVER a server of ours that goes on without us: fds, or /dev/null for -1, are its 0, 1, 2, … and
 * `clocks` is its argument; 0, also where it cannot be executed. */
#define CR_SPAWN_SERVER 4
#define CR_SPAWN_SERVER_FDS 20
CR_API int64_t cr_spawn(const char *exe, int32_t want_pid, int32_t flags, int32_t personality, uint8_t *fds,
                        int32_t fd_count, int32_t fd_base,
                        const char *clocks); /* lines for timens_offsets, or empty */
CR_API int64_t cr_wait_child(int32_t pid); /* blocks; wait status */

/* own.c: a system call of our own process; where bit i of `pointers` is set, args[i] is an offset into data. */
CR_API int64_t cr_own_call(int64_t nr, uint8_t *args, int32_t pointers, uint8_t *data, int32_t len);

/* process.c */
/* Which of them are one (kcmp(2), of this type): `first` gets an int32_t each, the index of the first that it is the same
 * as, or its own. What has ended is like no other. The count of different ones. */
CR_API int64_t cr_same(uint8_t *held, int32_t count, int32_t type, uint8_t *first);
CR_API int64_t cr_get_sched(int32_t tid, uint8_t *sched, int32_t size);
CR_API int64_t cr_peek_pipe(int32_t fd, uint8_t *out, int32_t size); /* bytes waiting, not taken; count */
CR_API int64_t cr_pipe(uint8_t *fds, uint8_t *data, int32_t len);    /* two int32_t; with data waiting in it */
CR_API int64_t cr_terminal_group(int32_t fd, int32_t pgid); /* sets it; with pgid 0 reads it */
CR_API int64_t cr_xcr0(void);

#define CR_SPAWN_SETSID 1
#define CR_SPAWN_SETPGID 2

/* Inside the library: one owner each, shared by the .c files. */
int64_t cr_wait_stop(int32_t tid, int *status);
void cr_set_options(int32_t tid, uint32_t more);
int64_t cr_lay_frame(const struct cr_batch *batch, const struct cr_thread *thread, uint8_t *image, uint64_t *rsp);
int64_t cr_regset(int32_t tid, int request, int type, void *data, size_t *len);
uint32_t cr_crc32c(uint32_t crc, const uint8_t *data, size_t len);
void cr_crc32c_pages(const uint8_t *pages, size_t count, uint32_t *crcs); /* that of each page */
#define CR_NICE 5 /* of work that lets others come first: a third of a thread's share, where CPUs are too few for both */
/* buffers.c: memory to copy through, of one huge page: past the page cache the kernel looks at every page of it each time, and
 * disks take fewer and longer writes sooner. NULL where there is none. */
#define CR_BUFFER (2u << 20)
uint8_t *cr_take_buffer(void);
void cr_give_buffer(uint8_t *buffer);
/* threads.c: work(arg) in so many threads, this one among them, or gently in others; until all have returned. */
void cr_in_threads(void *(*work)(void *), void *arg, int32_t threads, int gently);

#endif
