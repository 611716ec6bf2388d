/* Which tasks wait at each switch. The rules are those of harness/trace/runqueue/slicer.py. */
#include "tracker.h"

#include <stdlib.h>

#include "event_order.h"
#include "native.h"
#include "switch_out.h"
#include "run_queue.h"

struct list {
    int32_t *values;
    int64_t count, room;
};

struct tracker {
    int64_t shifted, lookahead, most_values;
    struct run_queues queues;
    struct list lists[2];
};

/* --- who waits --- */

static int wake(struct tracker *tracker, int32_t tid, int16_t cpu, int64_t time_ns)
{
    int64_t place = tid ? task_get(&tracker->queues, tid) : NONE;

    if (!tid || (place >= 0 && tracker->queues.tasks[place].queue != NONE))
        return 0;
    if (place < 0)
        return NO_MEMORY;
    tracker->queues.tasks[place].wait_ns = tracker->queues.tasks[place].woken_ns = time_ns;
    return wait_begin(&tracker->queues, place, cpu);
}

static int move(struct tracker *tracker, int32_t tid, int16_t cpu)
{
    int64_t place = tid ? task_find(&tracker->queues, tid) : NONE;

    if (place == NONE || tracker->queues.tasks[place].queue == NONE)
        return 0;
    wait_end(&tracker->queues, place);
    return wait_begin(&tracker->queues, place, cpu);
}

static int leave(struct tracker *tracker, const struct events *events, int64_t row)
{
    int32_t tid = events->prev[row];
    int waits = events->left[row] != LEFT_ASLEEP;
    int64_t place = !tid ? NONE : waits ? task_get(&tracker->queues, tid) : task_find(&tracker->queues, tid);

    if (!tid || (place < 0 && !waits))
        return 0;
    if (place < 0)
        return NO_MEMORY;
    if (tracker->queues.tasks[place].queue != NONE)
        wait_end(&tracker->queues, place);
    if (!waits)
        return 0;
    tracker->queues.tasks[place].wait_ns = events->switch_ns[row];
    tracker->queues.tasks[place].woken_ns = events->left[row] == LEFT_WOKEN ? events->switch_ns[row] : -1;
    return wait_begin(&tracker->queues, place, events->cpu[row]);
}

/* Put the tasks of a queue, and with `more` one beside them, at the end of a list; how many they are. */
static int64_t copy_out(const struct tracker *tracker, const struct queue *queue, struct list *list, int more, int32_t tid)
{
    int64_t wanted = list->count + queue->size - queue->holes + 2, begun = list->count;
    int32_t *to;

    if (wanted > tracker->most_values)
        return TOO_MANY;
    if (wanted > list->room) {
        int64_t room = wanted + wanted / 2 + 1024;
        int32_t *values = realloc(list->values, (size_t)room * sizeof *values);

        if (!values)
            return NO_MEMORY;
        list->values = values;
        list->room = room;
    }
    to = list->values + list->count;
    for (int64_t place = 0; place < queue->size; place++) {
        *to = queue->tids[place]; /* a hole is written over by what comes next; there is room for one at the end */
        to += queue->tids[place] != 0;
    }
    if (more)
        *to++ = tid;
    list->count = to - list->values;
    return list->count - begun;
}

static int64_t pick(struct tracker *tracker, const struct events *events, const struct switch_waits *waits_out, int64_t row)
{
    int32_t tid = events->next[row], queue = queue_of(events->cpu[row]);
    int64_t place = tid ? task_find(&tracker->queues, tid) : NONE, length = 0;
    int waits = place != NONE && tracker->queues.tasks[place].queue != NONE;
    int here = waits && tracker->queues.tasks[place].queue == queue;

    waits_out->wait_ns[row] = waits ? tracker->queues.tasks[place].wait_ns : -1;
    waits_out->woken_ns[row] = waits ? tracker->queues.tasks[place].woken_ns : -1;
    if (waits_out->group[row] == 1 || waits_out->group[row] == 2)
        length = copy_out(tracker, &tracker->queues.queues[queue], &tracker->lists[waits_out->group[row] - 1], !here, tid);
    if (length < 0)
        return length;
    waits_out->length[row] = (int32_t)length;
    if (waits)
        wait_end(&tracker->queues, place);
    return 0;
}

static int64_t follow(struct tracker *tracker, const struct events *events, const struct switch_waits *waits_out)
{
    struct position at = {0, 0, 0};

    for (;;) {
        int64_t failed = 0;

        switch (next_kind(events, &at, events->settled_wakeups, events->settled_moves, events->settled_switches)) {
        case WAKE:
            failed = wake(tracker, events->woken[at.wakeup], events->target[at.wakeup], events->wake_ns[at.wakeup]);
            at.wakeup++;
            break;
        case MOVE:
            failed = move(tracker, events->moved[at.move], events->dest[at.move]);
            at.move++;
            break;
        case SWITCH:
            failed = leave(tracker, events, at.row);
            if (!failed)
                failed = pick(tracker, events, waits_out, at.row);
            at.row++;
            break;
        case END:
            return 0;
        }
        if (failed)
            return failed;
    }
}

/* --- what Python calls --- */

/* A slicer, or NULL where there is no memory. `seed` is any number that the recording's writer could not know. */
struct tracker *tracker_new(int64_t shifted, int64_t lookahead, int64_t most_values, uint64_t seed)
{
    struct tracker *made = calloc(1, sizeof *made);

    if (!made)
        return NULL;
    *made = (struct tracker){.shifted = shifted != 0, .lookahead = lookahead, .most_values = most_values};
    if (run_queues_new(&made->queues, seed)) {
        tracker_free(made);
        return NULL;
    }
    return made;
}

void tracker_free(struct tracker *tracker)
{
    if (!tracker)
        return;
    run_queues_free(&tracker->queues);
    free(tracker->lists[0].values);
    free(tracker->lists[1].values);
    free(tracker);
}

/* Follow the settled events, and fill `found` with a row for each of their switches. The next call goes on with what
 * was not settled. 0; or NO_MEMORY, or TOO_MANY values for one group, after which the slicer is of no more use. */
int64_t tracker_feed(struct tracker *tracker, const struct events *events, const struct switch_waits *waits_out)
{
    int64_t failed;

    tracker->lists[0].count = tracker->lists[1].count = 0;
    failed = classify_switch_outs(&tracker->queues, events, tracker->shifted, tracker->lookahead);
    if (!failed)
        failed = follow(tracker, events, waits_out);
    if (!failed)
        tasks_forget(&tracker->queues);
    return failed;
}

/* How many tasks wait at the end of what was followed: all that are known between two calls. */
int64_t tracker_waiting(const struct tracker *tracker)
{
    return tracker->queues.size;
}

/* The sets of the last call's switches of a group, 1 or 2, one after the other; NULL where there are none. They are the
 * caller's from now on, who frees them. */
int32_t *tracker_take_sets(struct tracker *tracker, int64_t group)
{
    int32_t *values = tracker->lists[group - 1].values;

    tracker->lists[group - 1] = (struct list){NULL, 0, 0};
    return values;
}

void tracker_free_sets(int32_t *values)
{
    free(values);
}
