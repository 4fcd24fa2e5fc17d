/*
 * The nanny of `cr demo`: nanny IN OUT PROGRAM ARGUMENTS... starts a program with files as its standard streams and
 * nothing else open, says its pid, reaps it the moment it ends, and ends as it did. So the program is no child of
 * Node, which waits for its own children and would take their stops away from a tracer.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void place(const char *path, int flags, int number) {
    int fd = open(path, flags, 0600);
    if (fd < 0 || dup2(fd, number) < 0) {
        perror(path);
        _exit(126);
    }
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    setsid();
    pid_t program = fork();
    if (program == 0) {
        place(argv[1], O_RDONLY, 0);
        place(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 1);
        dup2(1, 2);
        close_range(3, ~0u, 0);
        execvp(argv[3], argv + 3);
        perror(argv[3]);
        _exit(127);
    }
    if (program < 0) return 126;
    printf("%d\n", program);
    fflush(stdout);
    int status;
    while (waitpid(program, &status, 0) != program) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
