/*
 * copy MIB: copies so many mebibytes from memory to memory with one thread, and prints the milliseconds into memory that was
 * never touched and into the same memory again: what any copy of a program's memory is held against.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static double clock_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static char *anonymous(size_t bytes) {
  char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) exit(1);
  return memory;
}

int main(int argc, char **argv) {
  size_t bytes = argc == 2 ? strtoul(argv[1], NULL, 10) << 20 : 0;
  if (bytes == 0) {
    fprintf(stderr, "usage: copy MIB\n");
    return 2;
  }
  char *from = anonymous(bytes), *to = anonymous(bytes);
  memset(from, 1, bytes);
  double start = clock_ms();
  memcpy(to, from, bytes);
  double fresh = clock_ms() - start;
  memset(from, to[bytes - 1] + 1, bytes);
  start = clock_ms();
  memcpy(to, from, bytes);
  double again = clock_ms() - start;
  printf("%.3f %.3f\n", fresh, to[bytes - 1] == 2 ? again : 0);
  return 0;
}
