/*
 * The counter of `cr demo`: counter FIRST LAST PAUSE_MS prints the numbers, a line each, and ends. Built without
 * optimization, so that a debugger shows the arguments of every call in its core.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void wait_for(long pause_ms) {
    struct timespec left = {pause_ms / 1000, pause_ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0) continue;
}

static void count(long number, long last, long pause_ms) {
    for (; number <= last; number++) {
        printf("%ld\n", number);
        fflush(stdout);
        wait_for(pause_ms);
    }
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    count(atol(argv[1]), atol(argv[2]), atol(argv[3]));
    return 0;
}
