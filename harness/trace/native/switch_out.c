/* How each task left its CPU, where only what comes next tells. */
#include "switch_out.h"

#include "event_order.h"
#include "native.h"

struct pass {
    struct run_queues *queues;
    const struct events *events;
    int64_t shifted, lookahead;
    int64_t unclear; /* tasks of which it is not known yet */
};

static void resolve(struct pass *pass, int64_t place, int picked)
{
    struct task *task = &pass->queues->tasks[place];

    if (task->unclear_row == NONE)
        return;
    if (picked)
        pass->events->left[task->unclear_row] = task->unclear_left;
    task->unclear_row = NONE;
    pass->unclear--;
}

static int note_wakeup(struct pass *pass, int64_t row)
{
    int32_t tid = pass->events->woken[row];
    int inside = row < pass->events->settled_wakeups;
    int64_t place;

    if (!tid)
        return 0;
    place = inside ? task_get(pass->queues, tid) : task_find(pass->queues, tid);
    if (place < 0)
        return inside ? NO_MEMORY : 0;
    resolve(pass, place, 0);
    if (inside)
        pass->queues->tasks[place].woken = 1;
    return 0;
}

static int note_leaving(struct pass *pass, int64_t row, int64_t at)
{
    int32_t tid = pass->events->prev[row];
    int inside = row < pass->events->settled_switches, runnable = inside && pass->events->left[row] == LEFT_RUNNABLE;
    int64_t place;

    if (!tid)
        return 0;
    place = runnable && pass->shifted ? task_get(pass->queues, tid) : task_find(pass->queues, tid);
    if (place < 0)
        return runnable && pass->shifted ? NO_MEMORY : 0;
    resolve(pass, place, 0);
    if (inside && (runnable ? pass->shifted : pass->queues->tasks[place].woken)) {
        pass->queues->tasks[place].unclear_row = row;
        pass->queues->tasks[place].unclear_at = at;
        pass->queues->tasks[place].unclear_left = runnable ? LEFT_RUNNABLE : LEFT_WOKEN;
        pass->events->left[row] = LEFT_ASLEEP;
        pass->unclear++;
    }
    if (inside)
        pass->queues->tasks[place].woken = 0;
    return 0;
}

static void note_pick(struct pass *pass, int64_t row, int64_t at)
{
    int64_t place = pass->events->next[row] ? task_find(pass->queues, pass->events->next[row]) : NONE;

    if (place == NONE)
        return;
    resolve(pass, place, at - pass->queues->tasks[place].unclear_at <= pass->lookahead);
    if (row < pass->events->settled_switches)
        pass->queues->tasks[place].woken = 0;
}

int classify_switch_outs(struct run_queues *queues, const struct events *events, int64_t shifted, int64_t lookahead)
{
    struct pass pass = {queues, events, shifted, lookahead, 0};
    struct position at = {0, 0, 0};

    for (int64_t number = 0;; number++) {
        enum event_kind kind = next_kind(events, &at, events->wakeups, events->moves, events->switches);
        int inside = at.wakeup < events->settled_wakeups || at.row < events->settled_switches;

        if (kind == END || (!pass.unclear && !inside))
            return 0;
        if (kind == WAKE && note_wakeup(&pass, at.wakeup))
            return NO_MEMORY;
        if (kind == SWITCH) {
            if (note_leaving(&pass, at.row, number))
                return NO_MEMORY;
            note_pick(&pass, at.row, number);
        }
        at.wakeup += kind == WAKE;
        at.move += kind == MOVE;
        at.row += kind == SWITCH;
    }
}
