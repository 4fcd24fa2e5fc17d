/*
 * Memory of every kind, for the page table and bulk copies: pages FOLDER FILE. Says where each stands.
 *   private 16 pages: 0 and 1 written, 3 only read, 5 PROT_NONE with content, 8 a guard region
 *   file    8 pages of FILE mapped privately: 2 written, 4 only read
 *   shared  64 pages shared and anonymous: 0 and 40 written
 */
#include "act.h"
#include <sys/mman.h>

#define PAGE 4096
#define GUARD_INSTALL 102 /* MADV_GUARD_INSTALL, Linux 6.13 */

#include <fcntl.h>

int main(int argc, char **argv) {
    const char *folder = folder_of(argc, argv);
    CHECK(argc > 2, "usage: %s FOLDER FILE", argv[0]);
    volatile char *own = mmap(NULL, 16 * PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise((void *)own, 16 * PAGE, MADV_NOHUGEPAGE);
    fill((void *)own, 2 * PAGE, 1);
    char seen = own[3 * PAGE];
    fill((void *)(own + 5 * PAGE), PAGE, 5);
    mprotect((void *)(own + 5 * PAGE), PAGE, PROT_NONE);
    CHECK(madvise((void *)(own + 8 * PAGE), PAGE, GUARD_INSTALL) == 0, "guard region: %s", strerror(errno));

    volatile char *file = mmap(NULL, 8 * PAGE, 3, MAP_PRIVATE, open(argv[2], O_RDONLY), 0);
    CHECK(file != MAP_FAILED, "mmap of %s: %s", argv[2], strerror(errno));
    file[2 * PAGE] = 'W';
    seen += file[4 * PAGE];

    volatile char *shared = mmap(NULL, 64 * PAGE, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    fill((void *)shared, PAGE, 9);
    fill((void *)(shared + 40 * PAGE), PAGE, 10);
    dprintf(1, "private %p\nfile %p\nshared %p\nseen %d\n", own, file, shared, seen);
    ready_and_wait(folder);
    CHECK(differs((void *)own, 2 * PAGE, 1) < 0, "private memory was changed");
    CHECK(differs((void *)shared, PAGE, 9) < 0, "shared memory was changed");
    pass();
}
