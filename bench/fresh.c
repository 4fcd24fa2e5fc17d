/*
 * fresh FILE: reads FILE into fresh anonymous memory, as one thread does it, and prints the milliseconds: what an eager
 * restore is held against.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double clock_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

int main(int argc, char **argv) {
  struct stat stat;
  int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
  if (fd < 0 || fstat(fd, &stat) < 0) {
    fprintf(stderr, "usage: fresh FILE\n");
    return 2;
  }
  double start = clock_ms();
  size_t bytes = (size_t)stat.st_size;
  char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  for (size_t done = 0; done < bytes;) {
    ssize_t n = pread(fd, memory + done, bytes - done, (off_t)done);
    if (n <= 0) return 1;
    done += (size_t)n;
  }
  printf("%.3f\n", clock_ms() - start);
  return 0;
}
