/* What a context switch costs: two processes on one CPU hand a byte to and fro through pipes; a switch each way. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 100000 };

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static void pass_on(int from, int to, int rounds)
{
    char byte = 0;

    for (int round = 0; round < rounds; round++)
        if (read(from, &byte, 1) != 1 || write(to, &byte, 1) != 1)
            stop("pipe");
}

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

int main(void)
{
    int there[2], back[2];
    cpu_set_t one;
    pid_t child;
    double began;

    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    if (sched_setaffinity(0, sizeof(one), &one) != 0)
        stop("sched_setaffinity");
    if (pipe(there) != 0 || pipe(back) != 0)
        stop("pipe");
    child = fork();
    if (child < 0)
        stop("fork");
    if (child == 0) {
        pass_on(there[0], back[1], ROUNDS + 1);
        _exit(0);
    }
    if (write(there[1], "", 1) != 1)
        stop("write");
    began = now_ns();
    pass_on(back[0], there[1], ROUNDS);
    printf("%.1f\n", (now_ns() - began) / ROUNDS / 2);
    waitpid(child, NULL, 0);
    return 0;
}
