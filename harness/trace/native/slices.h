/* Follows tasks from event to event, and tells at every switch which tasks waited there. */
#ifndef HARNESS_SLICES_H
#define HARNESS_SLICES_H

#include <stdint.h>

#define TOO_MANY (-2)

/* How a task left its CPU. */
enum left { LEFT_ASLEEP = 0, LEFT_RUNNABLE = 1, LEFT_WOKEN = 2 };

/* Events of three tables, each sorted by time. Only the first `settled` rows of each are to be followed; what is behind
 * them, later than all of them, is looked at to tell what their tasks did next. */
struct events {
    int64_t switches, settled_switches;
    const int64_t *switch_ns;
    const int16_t *cpu;
    const int32_t *prev, *next;
    uint8_t *left; /* enum left; 0 or 1 when given, and set right by the call */
    int64_t wakeups, settled_wakeups;
    const int64_t *wake_ns;
    const int32_t *woken;
    const int16_t *target;
    int64_t moves, settled_moves;
    const int64_t *move_ns;
    const int32_t *moved;
    const int16_t *dest;
};

/* What is told of every settled switch: when its next task began to wait and was woken (-1: not known); and how many
 * tasks are in its set. The sets themselves, one after the other, are kept with the slicer: those of group 1 and those
 * of group 2; those of group 0 are left out. */
struct found {
    const uint8_t *group;
    int64_t *wait_ns, *woken_ns;
    int32_t *length;
};

struct slicer;

struct slicer *slicer_new(int64_t shifted, int64_t lookahead, int64_t most_values, uint64_t seed);
void slicer_free(struct slicer *slicer);
int64_t slicer_feed(struct slicer *slicer, const struct events *events, const struct found *found);
int64_t slicer_waiting(const struct slicer *slicer);
int32_t *slicer_take(struct slicer *slicer, int64_t group);
void slicer_free_values(int32_t *values);

#endif
