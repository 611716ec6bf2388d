/* Checks that every switch on a CPU begins with the task that the switch before it on that CPU switched to.
 *
 * `running` has a number for each of the 65536 CPUs: the tid that runs there, below two flags. */
#include "native.h"

#define CPU_SEEN ((int64_t)1 << 32)
#define TASK_KNOWN ((int64_t)1 << 33)

/* Note in `running` that these rows have events of their CPUs. */
void chain_note_cpus(const int16_t *cpus, int64_t rows, int64_t *running)
{
    for (int64_t row = 0; row < rows; row++)
        running[(uint16_t)cpus[row]] |= CPU_SEEN;
}

/* Count the switches that break the chain. They are sorted by time, and later than those of the calls before. */
int64_t chain_breaks(const int16_t *cpus, const int32_t *prev, const int32_t *next, int64_t rows, int64_t *running)
{
    int64_t breaks = 0;

    for (int64_t row = 0; row < rows; row++) {
        int64_t *task = &running[(uint16_t)cpus[row]];

        breaks += (*task & TASK_KNOWN) && (int32_t)(uint32_t)*task != prev[row];
        *task = CPU_SEEN | TASK_KNOWN | (int64_t)(uint32_t)next[row];
    }
    return breaks;
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
