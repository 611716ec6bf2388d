/* Follows tasks from event to event, and finds at every switch which tasks wait on that CPU. */
#ifndef HARNESS_TRACKER_H
#define HARNESS_TRACKER_H

#include <stdint.h>

#define TOO_MANY (-2)

/* How a task left its CPU. LEFT_WOKEN: it went to sleep, but had been woken meanwhile. */
enum leave_kind { LEFT_ASLEEP = 0, LEFT_RUNNABLE = 1, LEFT_WOKEN = 2 };

/* Events of three tables, each sorted by time. The tracker follows only the first `settled_...` rows of each table. The
 * other rows are later than all of these, and show only what a task does next. */
struct events {
    int64_t switches, settled_switches;
    const int64_t *switch_ns;
    const int16_t *cpu;
    const int32_t *prev, *next;
    uint8_t *leave_kind; /* enum leave_kind: the first two when passed in; classify_switch_outs corrects them */
    int64_t wakeups, settled_wakeups;
    const int64_t *wake_ns;
    const int32_t *woken;
    const int16_t *target;
    int64_t moves, settled_moves;
    const int64_t *move_ns;
    const int32_t *moved;
    const int16_t *dest;
};

/* One row for each settled switch: when the picked task began to wait, when it was woken (-1: not known), and the size
 * of the runnable set. The tracker stores the sets of group 1 in one array and those of group 2 in another; the set of
 * another group is only counted. */
struct switch_waits {
    const uint8_t *group;
    int64_t *wait_ns, *woken_ns;
    int32_t *length;
};

struct tracker;

struct tracker *tracker_new(int64_t shifted, int64_t lookahead, int64_t max_values, uint64_t seed);
void tracker_free(struct tracker *tracker);
int64_t tracker_feed(struct tracker *tracker, const struct events *events, const struct switch_waits *waits);
int64_t tracker_waiting(const struct tracker *tracker);
int32_t *tracker_take_sets(struct tracker *tracker, int64_t group);
void tracker_free_sets(int32_t *values);

#endif
