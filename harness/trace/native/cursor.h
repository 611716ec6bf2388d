/* Walks over the events of three tables in the order of time. */
#ifndef HARNESS_CURSOR_H
#define HARNESS_CURSOR_H

#include <stdint.h>

#include "slices.h"

/* The next event in the order of time; at one time wakeups, then migrations, then switches. */
enum kind { WAKE, MOVE, SWITCH, END };

struct cursor {
    int64_t wakeup, move, row;
};

static inline enum kind next_kind(const struct events *of, const struct cursor *at, int64_t wakeups, int64_t moves,
                                  int64_t switches)
{
    int64_t wake = at->wakeup < wakeups ? of->wake_ns[at->wakeup] : INT64_MAX;
    int64_t move = at->move < moves ? of->move_ns[at->move] : INT64_MAX;
    int64_t row = at->row < switches ? of->switch_ns[at->row] : INT64_MAX;

    if (at->wakeup < wakeups && wake <= move && wake <= row)
        return WAKE;
    if (at->move < moves && move <= row)
        return MOVE;
    return at->row < switches ? SWITCH : END;
}

#endif
