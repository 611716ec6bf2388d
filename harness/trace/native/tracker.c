/* Which tasks wait at each switch. harness/trace/runqueue/slicer.py states the rules. */
#include "tracker.h"

#include <stdlib.h>

#include "event_order.h"
#include "native.h"
#include "run_queue.h"
#include "switch_out.h"

/* Runnable sets, one after the other. */
struct sets {
    int32_t *tids;
    int64_t count, room;
};

struct tracker {
    int64_t shifted, lookahead, max_values;
    struct run_queues queues;
    struct sets sets[2]; /* of groups 1 and 2 */
};

/* --- who waits --- */

static int wake(struct tracker *tracker, const struct events *events, int64_t row)
{
    int32_t tid = events->woken[row];
    int64_t index = tid ? task_get(&tracker->queues, tid) : NONE;
    struct task *task;

    if (!tid)
        return 0;
    if (index < 0)
        return NO_MEMORY;
    task = &tracker->queues.tasks[index];
    if (task->queue != NONE)
        return 0;
    task->wait_ns = task->woken_ns = events->wake_ns[row];
    return wait_begin(&tracker->queues, index, events->target[row]);
}

static int move(struct tracker *tracker, const struct events *events, int64_t row)
{
    int32_t tid = events->moved[row];
    int64_t index = tid ? task_find(&tracker->queues, tid) : NONE;

    if (index == NONE || tracker->queues.tasks[index].queue == NONE)
        return 0;
    wait_end(&tracker->queues, index);
    return wait_begin(&tracker->queues, index, events->dest[row]);
}

static int leave(struct tracker *tracker, const struct events *events, int64_t row)
{
    int32_t tid = events->prev[row];
    int waits = events->leave_kind[row] != LEFT_ASLEEP;
    int64_t index = !tid ? NONE : waits ? task_get(&tracker->queues, tid) : task_find(&tracker->queues, tid);
    struct task *task;

    if (!tid || (index < 0 && !waits))
        return 0;
    if (index < 0)
        return NO_MEMORY;
    task = &tracker->queues.tasks[index];
    if (task->queue != NONE)
        wait_end(&tracker->queues, index);
    if (!waits)
        return 0;
    task->wait_ns = events->switch_ns[row];
    task->woken_ns = events->leave_kind[row] == LEFT_WOKEN ? events->switch_ns[row] : -1;
    return wait_begin(&tracker->queues, index, events->cpu[row]);
}

/* Append the tasks of a queue, and with `adds_picked` the one that was picked: `length` tasks. */
static int64_t append_set(const struct tracker *tracker, struct sets *sets, const struct queue *queue, int64_t length,
                          int adds_picked, int32_t picked)
{
    int64_t needed = sets->count + length + 1;
    int32_t *end;

    if (needed > tracker->max_values)
        return TOO_MANY;
    if (needed > sets->room) {
        int64_t room = needed + needed / 2 + 1024;
        int32_t *tids = realloc(sets->tids, (size_t)room * sizeof *tids);

        if (!tids)
            return NO_MEMORY;
        sets->tids = tids;
        sets->room = room;
    }
    end = sets->tids + sets->count;
    for (int64_t position = 0; position < queue->size; position++) {
        *end = queue->tids[position]; /* the next task overwrites a hole; there is room for one at the end */
        end += queue->tids[position] != 0;
    }
    if (adds_picked)
        *end = picked;
    sets->count += length;
    return 0;
}

static int64_t pick(struct tracker *tracker, const struct events *events, const struct switch_waits *waits, int64_t row)
{
    int32_t tid = events->next[row], number = queue_of(events->cpu[row]);
    int64_t index = tid ? task_find(&tracker->queues, tid) : NONE, failed = 0;
    const struct task *task = index != NONE ? &tracker->queues.tasks[index] : NULL;
    const struct queue *queue = &tracker->queues.by_cpu[number];
    int is_waiting = task && task->queue != NONE, is_elsewhere = !is_waiting || task->queue != number;
    int64_t length = queue->size - queue->holes + is_elsewhere;
    uint8_t group = waits->group[row];

    waits->wait_ns[row] = is_waiting ? task->wait_ns : -1;
    waits->woken_ns[row] = is_waiting ? task->woken_ns : -1;
    waits->length[row] = (int32_t)length;
    if (group == 1 || group == 2)
        failed = append_set(tracker, &tracker->sets[group - 1], queue, length, is_elsewhere, tid);
    if (is_waiting)
        wait_end(&tracker->queues, index);
    return failed;
}

static int64_t follow(struct tracker *tracker, const struct events *events, const struct switch_waits *waits)
{
    struct next_rows next = {0, 0, 0};

    for (;;) {
        int64_t failed = 0;

        switch (next_kind(events, &next, events->settled_wakeups, events->settled_moves, events->settled_switches)) {
        case WAKE:
            failed = wake(tracker, events, next.wakeup++);
            break;
        case MOVE:
            failed = move(tracker, events, next.move++);
            break;
        case SWITCH:
            failed = leave(tracker, events, next.row);
            if (!failed)
                failed = pick(tracker, events, waits, next.row);
            next.row++;
            break;
        case END:
            return 0;
        }
        if (failed)
            return failed;
    }
}

/* --- called by Python --- */

/* Return a tracker, or NULL where there is no memory. `seed` is a number that the recording's author could not know. */
struct tracker *tracker_new(int64_t shifted, int64_t lookahead, int64_t max_values, uint64_t seed)
{
    struct tracker *tracker = calloc(1, sizeof *tracker);

    if (!tracker)
        return NULL;
    *tracker = (struct tracker){.shifted = shifted != 0, .lookahead = lookahead, .max_values = max_values};
    if (run_queues_new(&tracker->queues, seed)) {
        tracker_free(tracker);
        return NULL;
    }
    return tracker;
}

void tracker_free(struct tracker *tracker)
{
    if (!tracker)
        return;
    run_queues_free(&tracker->queues);
    free(tracker->sets[0].tids);
    free(tracker->sets[1].tids);
    free(tracker);
}

/* Follow the settled events, and fill `waits` with a row for each of their switches. The other events must be passed
 * again with the next call. Return 0, or NO_MEMORY, or TOO_MANY (tasks in the sets of one group); after these two the
 * tracker cannot be used any more. */
int64_t tracker_feed(struct tracker *tracker, const struct events *events, const struct switch_waits *waits)
{
    int64_t failed;

    tracker->sets[0].count = tracker->sets[1].count = 0;
    failed = classify_switch_outs(&tracker->queues, events, tracker->shifted, tracker->lookahead);
    if (!failed)
        failed = follow(tracker, events, waits);
    if (!failed)
        tasks_forget(&tracker->queues);
    return failed;
}

/* Return how many tasks wait after the last call. Between two calls no others are known. */
int64_t tracker_waiting(const struct tracker *tracker)
{
    return tracker->queues.tids.size;
}

/* Return the sets of the last call's switches of a group, 1 or 2, one after the other; NULL where there are none. The
 * caller owns them from now on, and frees them with `tracker_free_sets`. */
int32_t *tracker_take_sets(struct tracker *tracker, int64_t group)
{
    int32_t *tids = tracker->sets[group - 1].tids;

    tracker->sets[group - 1] = (struct sets){NULL, 0, 0};
    return tids;
}

void tracker_free_sets(int32_t *values)
{
    free(values);
}
