/* How each task left its CPU, where only what comes next tells. */
#include "settling.h"

#include "cursor.h"
#include "native.h"

struct settling {
    struct waiting *waiting;
    const struct events *events;
    int64_t shifted, lookahead;
    int64_t unclear; /* tasks of which it is not known yet */
};

static void tell(struct settling *of, int64_t place, int picked)
{
    struct task *task = &of->waiting->tasks[place];

    if (task->unclear_row == NONE)
        return;
    if (picked)
        of->events->left[task->unclear_row] = task->unclear_left;
    task->unclear_row = NONE;
    of->unclear--;
}

static int settle_wakeup(struct settling *of, int64_t row)
{
    int32_t tid = of->events->woken[row];
    int inside = row < of->events->settled_wakeups;
    int64_t place;

    if (!tid)
        return 0;
    place = inside ? task_get(of->waiting, tid) : task_find(of->waiting, tid);
    if (place < 0)
        return inside ? NO_MEMORY : 0;
    tell(of, place, 0);
    if (inside)
        of->waiting->tasks[place].woken = 1;
    return 0;
}

static int settle_leaving(struct settling *of, int64_t row, int64_t at)
{
    int32_t tid = of->events->prev[row];
    int inside = row < of->events->settled_switches, runnable = inside && of->events->left[row] == LEFT_RUNNABLE;
    int64_t place;

    if (!tid)
        return 0;
    place = runnable && of->shifted ? task_get(of->waiting, tid) : task_find(of->waiting, tid);
    if (place < 0)
        return runnable && of->shifted ? NO_MEMORY : 0;
    tell(of, place, 0);
    if (inside && (runnable ? of->shifted : of->waiting->tasks[place].woken)) {
        of->waiting->tasks[place].unclear_row = row;
        of->waiting->tasks[place].unclear_at = at;
        of->waiting->tasks[place].unclear_left = runnable ? LEFT_RUNNABLE : LEFT_WOKEN;
        of->events->left[row] = LEFT_ASLEEP;
        of->unclear++;
    }
    if (inside)
        of->waiting->tasks[place].woken = 0;
    return 0;
}

static void settle_pick(struct settling *of, int64_t row, int64_t at)
{
    int64_t place = of->events->next[row] ? task_find(of->waiting, of->events->next[row]) : NONE;

    if (place == NONE)
        return;
    tell(of, place, at - of->waiting->tasks[place].unclear_at <= of->lookahead);
    if (row < of->events->settled_switches)
        of->waiting->tasks[place].woken = 0;
}

int settle(struct waiting *waiting, const struct events *events, int64_t shifted, int64_t lookahead)
{
    struct settling of = {waiting, events, shifted, lookahead, 0};
    struct cursor at = {0, 0, 0};

    for (int64_t number = 0;; number++) {
        enum kind kind = next_kind(events, &at, events->wakeups, events->moves, events->switches);
        int inside = at.wakeup < events->settled_wakeups || at.row < events->settled_switches;

        if (kind == END || (!of.unclear && !inside))
            return 0;
        if (kind == WAKE && settle_wakeup(&of, at.wakeup))
            return NO_MEMORY;
        if (kind == SWITCH) {
            if (settle_leaving(&of, at.row, number))
                return NO_MEMORY;
            settle_pick(&of, at.row, number);
        }
        at.wakeup += kind == WAKE;
        at.move += kind == MOVE;
        at.row += kind == SWITCH;
    }
}
