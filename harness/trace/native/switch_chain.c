/* Whether every switch on a CPU begins with the task that the one before it there switched to. */
#include "native.h"

/* Note the CPUs of `rows` rows in `running`, one place for each of 65536: 0 is a CPU not met yet. */
void chain_note_cpus(const int16_t *cpus, int64_t rows, int64_t *running)
{
    for (int64_t row = 0; row < rows; row++)
        running[(uint16_t)cpus[row]] |= CPU_MET;
}

/* How many of `rows` switches, sorted by time and behind those before, begin with another task than the last one on
 * their CPU switched to. `running` is kept from call to call. */
int64_t chain_breaks(const int16_t *cpus, const int32_t *prev, const int32_t *next, int64_t rows, int64_t *running)
{
    int64_t breaks = 0;

    for (int64_t row = 0; row < rows; row++) {
        int64_t *on = &running[(uint16_t)cpus[row]];

        breaks += (*on & TASK_KNOWN) && (int32_t)(uint32_t)*on != prev[row];
        *on = CPU_MET | TASK_KNOWN | (int64_t)(uint32_t)next[row];
    }
    return breaks;
}

/* The CPUs that were met, rising, into `cpus`, which has room for 65536. How many they are. */
int32_t chain_cpus(const int64_t *running, int16_t *cpus)
{
    int32_t count = 0;

    for (int32_t cpu = INT16_MIN; cpu <= INT16_MAX; cpu++)
        if (running[(uint16_t)cpu] & CPU_MET)
            cpus[count++] = (int16_t)cpu;
    return count;
}
