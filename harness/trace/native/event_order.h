/* Walks over the events of three tables in the order of time; at one time wakeups, then migrations, then switches. */
#ifndef HARNESS_EVENT_ORDER_H
#define HARNESS_EVENT_ORDER_H

#include <stdint.h>

#include "tracker.h"

enum event_kind { WAKE, MOVE, SWITCH, END };

/* The next row of each table. */
struct next_rows {
    int64_t wakeup, move, row;
};

/* Return which of the tables has the next event; `wakeups`, `moves` and `switches` are the rows to walk over. */
static inline enum event_kind next_kind(const struct events *events, const struct next_rows *next, int64_t wakeups,
                                        int64_t moves, int64_t switches)
{
    int64_t wake_ns = next->wakeup < wakeups ? events->wake_ns[next->wakeup] : INT64_MAX;
    int64_t move_ns = next->move < moves ? events->move_ns[next->move] : INT64_MAX;
    int64_t switch_ns = next->row < switches ? events->switch_ns[next->row] : INT64_MAX;

    if (next->wakeup < wakeups && wake_ns <= move_ns && wake_ns <= switch_ns)
        return WAKE;
    if (next->move < moves && move_ns <= switch_ns)
        return MOVE;
    return next->row < switches ? SWITCH : END;
}

#endif
