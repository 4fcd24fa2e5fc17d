/*
 * Targets that are hard to stop or to borrow from: the stack pointer where no place is to be had, system calls that
 * are caught. Each checks in its third act that no memory of its own was written to: places MODE FOLDER.
 *   deep       deep in a recursion: the stack pointer stands in the lowest page of the stack's mapping
 *   elsewhere  on a stack of its own (makecontext), every page of the main stack in use
 *   vfork      waits for a child of vfork(2): nothing but its end or death interrupts that
 *   ticking    a timer of its own interrupts it every half a millisecond
 *   dispatch   system calls from anywhere but one instruction end in SIGSYS (syscall user dispatch)
 */
#include "act.h"
#include <linux/prctl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

#define FRESH_BYTES (1 << 20)
#define DEPTH_BYTES (2 << 20)

/* Memory that was never touched: the program relies on its zeros. In bss and in a mapping of its own. */
static char in_bss[FRESH_BYTES];
static char *mapped;

static void fresh_is_zero(void) {
    CHECK(not_zero(mapped, FRESH_BYTES) < 0, "fresh memory is not zero at %ld", not_zero(mapped, FRESH_BYTES));
    CHECK(not_zero(in_bss, FRESH_BYTES) < 0, "bss is not zero at %ld", not_zero(in_bss, FRESH_BYTES));
}

/* Each frame of the recursion is filled and looked at again on the way back. */
static void descend(const char *folder, const char *top, uint64_t level) {
    volatile uint64_t frame[32];
    for (int i = 0; i < 32; i++) frame[i] = pattern(level, i);
    if (top - (char *)frame < DEPTH_BYTES) descend(folder, top, level + 1);
    else ready_and_wait(folder);
    for (int i = 0; i < 32; i++) CHECK(frame[i] == pattern(level, i), "frame %lu was changed", (long)level);
}

static void deep(const char *folder) {
    char top;
    descend(folder, &top, 0);
}

static ucontext_t main_context, own_context;
static const char *own_folder;

static void on_own_stack(void) {
    ready_and_wait(own_folder);
}

/* Touches the main stack down to the bottom of its mapping and leaves it in use, then runs elsewhere. */
static void fill_stack_and_leave(const char *folder) {
    size_t size = 300 << 10;
    uint64_t *used = __builtin_alloca(size);
    fill(used, size, 7);
    own_folder = folder;
    size_t stack_bytes = 64 << 10;
    getcontext(&own_context);
    own_context.uc_stack.ss_sp = mmap(NULL, stack_bytes, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    own_context.uc_stack.ss_size = stack_bytes;
    memset(own_context.uc_stack.ss_sp, 0x55, stack_bytes);
    own_context.uc_link = &main_context;
    makecontext(&own_context, on_own_stack, 0);
    swapcontext(&main_context, &own_context);
    CHECK(differs(used, size, 7) < 0, "the main stack was changed at word %ld", differs(used, size, 7));
}

extern char allowed_call[];
static volatile char selector = 1;

static long __attribute__((noinline)) own_call(long number, long first, long second, long third) {
    long result;
    __asm__ volatile("allowed_call: syscall\n nop\n nop"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third)
                     : "rcx", "r11", "memory");
    return result;
}

/* No call of libc's from here on. */
static void dispatch(const char *folder) {
    char path[512];
    snprintf(path, sizeof path, "%s/go", folder);
    const struct timespec nap = {0, 3000000};
    int failed = prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, allowed_call, 16, &selector);
    CHECK(failed == 0, "PR_SET_SYSCALL_USER_DISPATCH: %s", strerror(errno));
    own_call(SYS_write, 1, (long)"ready\n", 6);
    while (own_call(SYS_access, (long)path, F_OK, 0) != 0) own_call(SYS_nanosleep, (long)&nap, 0, 0);
    own_call(SYS_write, 1, (long)"ok\n", 3);
    own_call(SYS_exit_group, 0, 0, 0);
}

static void wait_in_vfork(const char *folder) {
    if (vfork() == 0) {
        ready_and_wait(folder);
        _exit(0);
    }
}

static volatile long ticks;

static void tick(int signal) {
    ticks += signal == SIGALRM;
}

static void ticking(const char *folder) {
    const struct itimerval every = {{0, 500}, {0, 500}};
    struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
    act_interruptible = 1;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    ready_and_wait(folder);
    for (long before = ticks; ticks == before;) continue;
}

int main(int argc, char **argv) {
    CHECK(argc > 2, "usage: %s MODE FOLDER", argv[0]);
    mapped = mmap(NULL, FRESH_BYTES, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (strcmp(argv[1], "deep") == 0) deep(argv[2]);
    else if (strcmp(argv[1], "elsewhere") == 0) fill_stack_and_leave(argv[2]);
    else if (strcmp(argv[1], "ticking") == 0) ticking(argv[2]);
    else if (strcmp(argv[1], "vfork") == 0) wait_in_vfork(argv[2]);
    else dispatch(argv[2]);
    fresh_is_zero();
    pass();
}
