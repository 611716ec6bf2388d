/* Walks over the events of three tables in the order of time. */
#ifndef HARNESS_EVENT_ORDER_H
#define HARNESS_EVENT_ORDER_H

#include <stdint.h>

#include "tracker.h"

/* The next event in the order of time; at one time wakeups, then migrations, then switches. */
enum event_kind { WAKE, MOVE, SWITCH, END };

struct position {
    int64_t wakeup, move, row;
};

static inline enum event_kind next_kind(const struct events *events, const struct position *position, int64_t wakeups, int64_t moves,
                                  int64_t switches)
{
    int64_t wake = position->wakeup < wakeups ? events->wake_ns[position->wakeup] : INT64_MAX;
    int64_t move = position->move < moves ? events->move_ns[position->move] : INT64_MAX;
    int64_t row = position->row < switches ? events->switch_ns[position->row] : INT64_MAX;

    if (position->wakeup < wakeups && wake <= move && wake <= row)
        return WAKE;
    if (position->move < moves && move <= row)
        return MOVE;
    return position->row < switches ? SWITCH : END;
}

#endif
