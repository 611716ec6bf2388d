/* Cost of a context switch: two processes on one CPU pass a byte back and forth through pipes, one switch each way. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 100000 };

static void fail(const char *call)
{
    perror(call);
    exit(1);
}

static void pass_on(int from, int to, int rounds)
{
    char byte = 0;

    for (int round = 0; round < rounds; round++)
        if (read(from, &byte, 1) != 1 || write(to, &byte, 1) != 1)
            fail("pipe");
}

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

int main(void)
{
    int to_child[2], to_parent[2];
    cpu_set_t this_cpu;
    pid_t child;
    double began;

    CPU_ZERO(&this_cpu);
    CPU_SET(sched_getcpu(), &this_cpu);
    if (sched_setaffinity(0, sizeof(this_cpu), &this_cpu) != 0)
        fail("sched_setaffinity");
    if (pipe(to_child) != 0 || pipe(to_parent) != 0)
        fail("pipe");
    child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        pass_on(to_child[0], to_parent[1], ROUNDS + 1);
        _exit(0);
    }
    if (write(to_child[1], "", 1) != 1)
        fail("write");
    began = now_ns();
    pass_on(to_parent[0], to_child[1], ROUNDS);
    printf("%.1f\n", (now_ns() - began) / ROUNDS / 2);
    waitpid(child, NULL, 0);
    return 0;
}
