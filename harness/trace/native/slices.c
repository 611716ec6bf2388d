/* Which tasks wait at each switch. The rules are those of harness/trace/runqueue/slicer.py. */
#include "slices.h"

#include <stdlib.h>

#include "cursor.h"
#include "native.h"
#include "settling.h"
#include "waiting.h"

struct list {
    int32_t *values;
    int64_t count, room;
};

struct slicer {
    int64_t shifted, lookahead, most_values;
    struct waiting waiting;
    struct list lists[2];
};

/* --- who waits --- */

static int wake(struct slicer *of, int32_t tid, int16_t cpu, int64_t time_ns)
{
    int64_t place = tid ? task_get(&of->waiting, tid) : NONE;

    if (!tid || (place >= 0 && of->waiting.tasks[place].queue != NONE))
        return 0;
    if (place < 0)
        return NO_MEMORY;
    of->waiting.tasks[place].wait_ns = of->waiting.tasks[place].woken_ns = time_ns;
    return wait_begin(&of->waiting, place, cpu);
}

static int move(struct slicer *of, int32_t tid, int16_t cpu)
{
    int64_t place = tid ? task_find(&of->waiting, tid) : NONE;

    if (place == NONE || of->waiting.tasks[place].queue == NONE)
        return 0;
    wait_end(&of->waiting, place);
    return wait_begin(&of->waiting, place, cpu);
}

static int leave(struct slicer *of, const struct events *events, int64_t row)
{
    int32_t tid = events->prev[row];
    int waits = events->left[row] != LEFT_ASLEEP;
    int64_t place = !tid ? NONE : waits ? task_get(&of->waiting, tid) : task_find(&of->waiting, tid);

    if (!tid || (place < 0 && !waits))
        return 0;
    if (place < 0)
        return NO_MEMORY;
    if (of->waiting.tasks[place].queue != NONE)
        wait_end(&of->waiting, place);
    if (!waits)
        return 0;
    of->waiting.tasks[place].wait_ns = events->switch_ns[row];
    of->waiting.tasks[place].woken_ns = events->left[row] == LEFT_WOKEN ? events->switch_ns[row] : -1;
    return wait_begin(&of->waiting, place, events->cpu[row]);
}

/* Put the tasks of a queue, and with `more` one beside them, at the end of a list; how many they are. */
static int64_t copy_out(const struct slicer *of, const struct queue *queue, struct list *list, int more, int32_t tid)
{
    int64_t wanted = list->count + queue->size - queue->holes + 2, begun = list->count;
    int32_t *to;

    if (wanted > of->most_values)
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

static int64_t pick(struct slicer *of, const struct events *events, const struct found *found, int64_t row)
{
    int32_t tid = events->next[row], queue = queue_of(events->cpu[row]);
    int64_t place = tid ? task_find(&of->waiting, tid) : NONE, length = 0;
    int waits = place != NONE && of->waiting.tasks[place].queue != NONE;
    int here = waits && of->waiting.tasks[place].queue == queue;

    found->wait_ns[row] = waits ? of->waiting.tasks[place].wait_ns : -1;
    found->woken_ns[row] = waits ? of->waiting.tasks[place].woken_ns : -1;
    if (found->group[row] == 1 || found->group[row] == 2)
        length = copy_out(of, &of->waiting.queues[queue], &of->lists[found->group[row] - 1], !here, tid);
    if (length < 0)
        return length;
    found->length[row] = (int32_t)length;
    if (waits)
        wait_end(&of->waiting, place);
    return 0;
}

static int64_t follow(struct slicer *of, const struct events *events, const struct found *found)
{
    struct cursor at = {0, 0, 0};

    for (;;) {
        int64_t failed = 0;

        switch (next_kind(events, &at, events->settled_wakeups, events->settled_moves, events->settled_switches)) {
        case WAKE:
            failed = wake(of, events->woken[at.wakeup], events->target[at.wakeup], events->wake_ns[at.wakeup]);
            at.wakeup++;
            break;
        case MOVE:
            failed = move(of, events->moved[at.move], events->dest[at.move]);
            at.move++;
            break;
        case SWITCH:
            failed = leave(of, events, at.row);
            if (!failed)
                failed = pick(of, events, found, at.row);
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
struct slicer *slicer_new(int64_t shifted, int64_t lookahead, int64_t most_values, uint64_t seed)
{
    struct slicer *made = calloc(1, sizeof *made);

    if (!made)
        return NULL;
    *made = (struct slicer){.shifted = shifted != 0, .lookahead = lookahead, .most_values = most_values};
    if (waiting_new(&made->waiting, seed)) {
        slicer_free(made);
        return NULL;
    }
    return made;
}

void slicer_free(struct slicer *slicer)
{
    if (!slicer)
        return;
    waiting_free(&slicer->waiting);
    free(slicer->lists[0].values);
    free(slicer->lists[1].values);
    free(slicer);
}

/* Follow the settled events, and fill `found` with a row for each of their switches. The next call goes on with what
 * was not settled. 0; or NO_MEMORY, or TOO_MANY values for one group, after which the slicer is of no more use. */
int64_t slicer_feed(struct slicer *slicer, const struct events *events, const struct found *found)
{
    int64_t failed;

    slicer->lists[0].count = slicer->lists[1].count = 0;
    failed = settle(&slicer->waiting, events, slicer->shifted, slicer->lookahead);
    if (!failed)
        failed = follow(slicer, events, found);
    if (!failed)
        tasks_forget(&slicer->waiting);
    return failed;
}

/* How many tasks wait at the end of what was followed: all that are known between two calls. */
int64_t slicer_waiting(const struct slicer *slicer)
{
    return slicer->waiting.size;
}

/* The sets of the last call's switches of a group, 1 or 2, one after the other; NULL where there are none. They are the
 * caller's from now on, who frees them. */
int32_t *slicer_take(struct slicer *slicer, int64_t group)
{
    int32_t *values = slicer->lists[group - 1].values;

    slicer->lists[group - 1] = (struct list){NULL, 0, 0};
    return values;
}

void slicer_free_values(int32_t *values)
{
    free(values);
}
