/* Checks that every switch on a CPU begins with the task that the switch before it on that CPU switched to.
 *
 * `running` has a number for each of the 65536 CPUs: the tid that runs there, below two flags. */
#include <stdlib.h>

#include "native.h"

#define CPU_SEEN ((int64_t)1 << 32)
#define TASK_KNOWN ((int64_t)1 << 33)
#define MAX_TASKS (1 << 22) /* the kernel gives no higher tid */
#define LEFT ((uint32_t)1 << 31)

/* Note in `running` that these rows have events of their CPUs. */
void chain_note_cpus(const int16_t *cpus, int64_t rows, int64_t *running)
{
    for (int64_t row = 0; row < rows; row++)
        running[(uint16_t)cpus[row]] |= CPU_SEEN;
}

/* What is known of each task: how many stays of it have no end, because the next switch on their CPU is away from
 * another task; and whether any switch is away from it. A task has a number at its tid; `highest` is the highest tid. */
struct stays {
    uint32_t tasks[MAX_TASKS];
    int64_t highest;
};

/* The stays without an end. */
struct unended {
    int64_t stays, tasks, most; /* of tasks that no switch is away from, the idle task left out; most of one task */
    int64_t left;               /* tasks that a switch is away from */
    int64_t idle;               /* stays of the idle task */
    int64_t idle_left;          /* whether a switch is away from it */
};

/* NULL where there is no memory, of which only the part up to `highest` is used. */
struct stays *chain_new_stays(void)
{
    return calloc(1, sizeof(struct stays));
}

void chain_free_stays(struct stays *stays)
{
    free(stays);
}

static void note_left(struct stays *stays, int32_t tid)
{
    if (tid < 0 || tid >= MAX_TASKS)
        return;
    stays->tasks[tid] |= LEFT;
    if (tid > stays->highest)
        stays->highest = tid;
}

static void note_unended(struct stays *stays, int32_t tid)
{
    if (tid < 0 || tid >= MAX_TASKS)
        return;
    stays->tasks[tid] += (stays->tasks[tid] & ~LEFT) < ~LEFT;
    if (tid > stays->highest)
        stays->highest = tid;
}

/* Count the switches that break the chain, and note whose stays they leave without an end. They are sorted by time, and
 * later than those of the calls before. */
int64_t chain_breaks(const int16_t *cpus, const int32_t *prev, const int32_t *next, int64_t rows, int64_t *running,
                     struct stays *stays)
{
    int64_t breaks = 0;

    for (int64_t row = 0; row < rows; row++) {
        int64_t *task = &running[(uint16_t)cpus[row]];
        int32_t tid = (int32_t)(uint32_t)*task;

        if ((*task & TASK_KNOWN) && tid != prev[row]) {
            breaks++;
            note_unended(stays, tid);
        }
        note_left(stays, prev[row]);
        *task = CPU_SEEN | TASK_KNOWN | (int64_t)(uint32_t)next[row];
    }
    return breaks;
}

struct unended chain_unended(const struct stays *stays)
{
    struct unended found = {.idle = stays->tasks[0] & ~LEFT, .idle_left = (stays->tasks[0] & LEFT) != 0};

    found.left = found.idle_left;
    for (int64_t tid = 1; tid <= stays->highest; tid++) {
        uint32_t count = stays->tasks[tid] & ~LEFT;

        if (stays->tasks[tid] & LEFT) {
            found.left++;
            continue;
        }
        found.stays += count;
        found.tasks += count > 0;
        found.most = count > found.most ? count : found.most;
    }
    return found;
}

/* Write the CPUs that were seen, in ascending order, to `cpus`, which has room for 65536. Return how many they are. */
int32_t chain_cpus(const int64_t *running, int16_t *cpus)
{
    int32_t count = 0;

    for (int32_t cpu = INT16_MIN; cpu <= INT16_MAX; cpu++)
        if (running[(uint16_t)cpu] & CPU_SEEN)
            cpus[count++] = (int16_t)cpu;
    return count;
}
