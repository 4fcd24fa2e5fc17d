/*
 * The self-checking target: a program that notices when anybody touches what is its own. registers.c and hold.S watch
 * the processor's registers, snapshot.c what the kernel keeps for the process, target.c memory, sleep and clock.
 */
#ifndef TARGET_H
#define TARGET_H

#include <stddef.h>
#include <stdint.h>

/* arch_prctl(2); musl's compiler wrapper does not see <asm/prctl.h>. */
enum { ARCH_SET_GS = 0x1001, ARCH_GET_FS = 0x1003, ARCH_GET_GS = 0x1004 };

enum { COMPLAINT_BYTES = 512, SNAPSHOT_BYTES = 1 << 17 };

/* The page shared with the test through a file; the layout is read by watched-target.ts. */
struct control {
  volatile uint64_t pid;       /* set last, when the target is ready */
  volatile uint64_t heartbeat; /* +1 for each completed round of checks */
  uint64_t hold;               /* set by the test: no snapshot, which would open files of /proc */
  uint64_t in_snapshot;        /* 1 while such files may be open */
  char complaint[COMPLAINT_BYTES];
};

/* Writes the complaint into the control page and ends the target. */
_Noreturn void complain(const char *what, const char *detail);

/* Fills every register with known values, spins, and complains about the first that differs. */
void registers_prepare(void);
void registers_check(uint64_t loops);

/* Renders mappings, signal state, descriptors and the like, one per line, into buffer. */
void snapshot_take(char buffer[SNAPSHOT_BYTES]);

/* Complains about the first line in which the two differ. */
void snapshot_compare(const char *before, const char *now);

/* Sum of all readable code and constants mapped from files, and of the vdso. */
uint64_t snapshot_code_sum(const char *snapshot);

/* Starts more threads; waits until each of them has found itself whole once more since the last call. */
void threads_start(void);
void threads_check(void);

/* Leaves messages unread; complains when one is missing, and leaves them again. */
void queue_start(void);
void queue_check(void);

#endif
