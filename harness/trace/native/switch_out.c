/* How each task left its CPU, where only the events after the switch show it. */
#include "switch_out.h"

#include "event_order.h"
#include "native.h"

struct pass {
    struct run_queues *queues;
    const struct events *events;
    int64_t shifted, lookahead;
    int64_t pending; /* switch-outs that are not classified yet */
};

/* Classify a pending switch-out by the task's next event: after a pick the task waited, else it slept. */
static void resolve(struct pass *pass, struct task *task, int is_picked)
{
    if (task->pending_row == NONE)
        return;
    if (is_picked)
        pass->events->leave_kind[task->pending_row] = task->pending_kind;
    task->pending_row = NONE;
    pass->pending--;
}

static int note_wakeup(struct pass *pass, int64_t row)
{
    int32_t tid = pass->events->woken[row];
    int settled = row < pass->events->settled_wakeups;
    int64_t index;

    if (!tid)
        return 0;
    index = settled ? task_get(pass->queues, tid) : task_find(pass->queues, tid);
    if (index < 0)
        return settled ? NO_MEMORY : 0;
    resolve(pass, &pass->queues->tasks[index], 0);
    if (settled)
        pass->queues->tasks[index].woken = 1;
    return 0;
}

static int note_prev(struct pass *pass, int64_t row, int64_t event)
{
    int32_t tid = pass->events->prev[row];
    int settled = row < pass->events->settled_switches;
    int runnable = settled && pass->events->leave_kind[row] == LEFT_RUNNABLE;
    struct task *task;
    int64_t index;

    if (!tid)
        return 0;
    index = runnable && pass->shifted ? task_get(pass->queues, tid) : task_find(pass->queues, tid);
    if (index < 0)
        return runnable && pass->shifted ? NO_MEMORY : 0;
    task = &pass->queues->tasks[index];
    resolve(pass, task, 0);
    if (settled && (runnable ? pass->shifted : task->woken)) {
        task->pending_row = row;
        task->pending_event = event;
        task->pending_kind = runnable ? LEFT_RUNNABLE : LEFT_WOKEN;
        pass->events->leave_kind[row] = LEFT_ASLEEP;
        pass->pending++;
    }
    if (settled)
        task->woken = 0;
    return 0;
}

static void note_next(struct pass *pass, int64_t row, int64_t event)
{
    int32_t tid = pass->events->next[row];
    int64_t index = tid ? task_find(pass->queues, tid) : NONE;
    struct task *task;

    if (index == NONE)
        return;
    task = &pass->queues->tasks[index];
    resolve(pass, task, event - task->pending_event <= pass->lookahead);
    if (row < pass->events->settled_switches)
        task->woken = 0;
}

int classify_switch_outs(struct run_queues *queues, const struct events *events, int64_t shifted, int64_t lookahead)
{
    struct pass pass = {queues, events, shifted, lookahead, 0};
    struct next_rows next = {0, 0, 0};

    for (int64_t event = 0;; event++) {
        enum event_kind kind = next_kind(events, &next, events->wakeups, events->moves, events->switches);
        int settled = next.wakeup < events->settled_wakeups || next.row < events->settled_switches;

        if (kind == END || (!pass.pending && !settled))
            return 0;
        if (kind == WAKE && note_wakeup(&pass, next.wakeup))
            return NO_MEMORY;
        if (kind == SWITCH) {
            if (note_prev(&pass, next.row, event))
                return NO_MEMORY;
            note_next(&pass, next.row, event);
        }
        next.wakeup += kind == WAKE;
        next.move += kind == MOVE;
        next.row += kind == SWITCH;
    }
}
