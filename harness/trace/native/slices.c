/* Which tasks wait on which CPU. The rules are those of harness/trace/slicing.py.
 *
 * Each CPU has a queue: an array of the tids that wait there, in the order in which they began. A task that leaves the
 * queue leaves a hole (tid 0, the idle task, which never waits), so that all is quick: to begin, to end, and to copy the
 * queue out. Queues are packed when there are more holes than tasks. */
#include <stdlib.h>
#include <string.h>

#include "native.h"
#include "slices.h"

#define QUEUES 65536 /* one for each number that a CPU can have in 16 bits */
#define NONE (-1)

struct task {
    int32_t tid;
    int32_t queue;        /* in which it waits, or NONE */
    int64_t place;        /* where in the queue */
    int64_t wait_ns;      /* since when it waits */
    int64_t woken_ns;     /* when it was woken, or -1 */
    int64_t unclear_row;  /* the switch where it left, while it is not known whether it waits; or NONE */
    int64_t unclear_at;   /* the number of that event */
    uint8_t unclear_left; /* how it left if it waits */
    uint8_t woken;        /* since it last left or got a CPU */
};

struct queue {
    int32_t *tids;
    int32_t *tasks; /* their places among the tasks */
    int64_t size, room, holes;
};

struct list {
    int32_t *values;
    int64_t count, room;
};

struct slicer {
    int64_t shifted, lookahead, most_values;
    uint64_t seed; /* so that nobody can choose tids that collide */
    struct task *tasks;
    int64_t size, room;
    int32_t *slots; /* a hash table: a task's place + 1, or 0 */
    uint64_t mask;
    struct queue *queues;
    struct list lists[2];
};

/* The next event in the order of time; at one time wakeups, then migrations, then switches. */
enum kind { WAKE, MOVE, SWITCH, END };

struct cursor {
    int64_t wakeup, move, row;
};

static enum kind next_kind(const struct events *of, const struct cursor *at, int64_t wakeups, int64_t moves,
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

/* --- tasks --- */

static uint64_t slot_of(const struct slicer *of, int32_t tid)
{
    uint64_t mixed = (uint32_t)tid ^ of->seed;

    mixed = (mixed ^ mixed >> 33) * 0xff51afd7ed558ccdULL;
    mixed = (mixed ^ mixed >> 33) * 0xc4ceb9fe1a85ec53ULL;
    return (mixed ^ mixed >> 33) & of->mask;
}

/* The place of a task, or NONE. */
static int64_t find(const struct slicer *of, int32_t tid)
{
    for (uint64_t slot = slot_of(of, tid); of->slots[slot]; slot = (slot + 1) & of->mask)
        if (of->tasks[of->slots[slot] - 1].tid == tid)
            return of->slots[slot] - 1;
    return NONE;
}

static void enter(struct slicer *of, int64_t place)
{
    uint64_t slot = slot_of(of, of->tasks[place].tid);

    while (of->slots[slot])
        slot = (slot + 1) & of->mask;
    of->slots[slot] = (int32_t)place + 1;
}

/* Room for more tasks, a power of two; there are twice as many slots. */
static int make_room(struct slicer *of, int64_t room)
{
    struct task *tasks = realloc(of->tasks, (size_t)room * sizeof *tasks);
    int32_t *slots;

    if (!tasks)
        return NO_MEMORY;
    of->tasks = tasks;
    slots = calloc((size_t)room * 2, sizeof *slots);
    if (!slots)
        return NO_MEMORY;
    free(of->slots);
    of->slots = slots;
    of->room = room;
    of->mask = (uint64_t)room * 2 - 1;
    for (int64_t place = 0; place < of->size; place++)
        enter(of, place);
    return 0;
}

/* The place of a task, which is made known if it is not yet; or NO_MEMORY. */
static int64_t get(struct slicer *of, int32_t tid)
{
    int64_t place = find(of, tid);

    if (place != NONE)
        return place;
    if (of->size == of->room && (of->room > INT32_MAX / 4 || make_room(of, of->room * 2)))
        return NO_MEMORY;
    place = of->size++;
    of->tasks[place] = (struct task){.tid = tid, .queue = NONE, .unclear_row = NONE};
    enter(of, place);
    return place;
}

/* Keep only the tasks that wait. */
static void forget(struct slicer *of)
{
    int64_t kept = 0;

    for (int64_t place = 0; place < of->size; place++) {
        struct task *task = &of->tasks[place];

        if (task->queue == NONE)
            continue;
        task->unclear_row = NONE;
        of->queues[task->queue].tasks[task->place] = (int32_t)kept;
        of->tasks[kept++] = *task;
    }
    of->size = kept;
    memset(of->slots, 0, (size_t)(of->mask + 1) * sizeof *of->slots);
    for (int64_t place = 0; place < kept; place++)
        enter(of, place);
}

/* --- queues --- */

static int32_t queue_of(int16_t cpu)
{
    return (int32_t)cpu + QUEUES / 2;
}

static void pack(struct slicer *of, struct queue *queue)
{
    int64_t kept = 0;

    for (int64_t place = 0; place < queue->size; place++) {
        if (!queue->tids[place])
            continue;
        queue->tids[kept] = queue->tids[place];
        queue->tasks[kept] = queue->tasks[place];
        of->tasks[queue->tasks[kept]].place = kept;
        kept++;
    }
    queue->size = kept;
    queue->holes = 0;
}

static void end_wait(struct slicer *of, int64_t place)
{
    struct task *task = &of->tasks[place];
    struct queue *queue = &of->queues[task->queue];

    queue->tids[task->place] = 0;
    task->queue = NONE;
    if (++queue->holes > queue->size / 2 + 8)
        pack(of, queue);
}

static int begin_wait(struct slicer *of, int64_t place, int16_t cpu)
{
    struct task *task = &of->tasks[place];
    struct queue *queue = &of->queues[queue_of(cpu)];

    if (queue->size == queue->room) {
        int64_t room = queue->room ? queue->room * 2 : 64;
        int32_t *tids = realloc(queue->tids, (size_t)room * sizeof *tids), *tasks;

        if (!tids)
            return NO_MEMORY;
        queue->tids = tids;
        tasks = realloc(queue->tasks, (size_t)room * sizeof *tasks);
        if (!tasks)
            return NO_MEMORY;
        queue->tasks = tasks;
        queue->room = room;
    }
    queue->tids[queue->size] = task->tid;
    queue->tasks[queue->size] = (int32_t)place;
    task->queue = queue_of(cpu);
    task->place = queue->size++;
    return 0;
}

/* --- how each task left: what comes next tells --- */

static void tell(struct slicer *of, const struct events *events, int64_t place, int picked, int64_t *unclear)
{
    struct task *task = &of->tasks[place];

    if (task->unclear_row == NONE)
        return;
    if (picked)
        events->left[task->unclear_row] = task->unclear_left;
    task->unclear_row = NONE;
    --*unclear;
}

static int settle_wakeup(struct slicer *of, const struct events *events, int64_t row, int64_t *unclear)
{
    int32_t tid = events->woken[row];
    int inside = row < events->settled_wakeups;
    int64_t place;

    if (!tid)
        return 0;
    place = inside ? get(of, tid) : find(of, tid);
    if (place < 0)
        return inside ? NO_MEMORY : 0;
    tell(of, events, place, 0, unclear);
    if (inside)
        of->tasks[place].woken = 1;
    return 0;
}

static int settle_leaving(struct slicer *of, const struct events *events, int64_t row, int64_t at, int64_t *unclear)
{
    int32_t tid = events->prev[row];
    int inside = row < events->settled_switches, runnable = inside && events->left[row] == LEFT_RUNNABLE;
    int64_t place;

    if (!tid)
        return 0;
    place = runnable && of->shifted ? get(of, tid) : find(of, tid);
    if (place < 0)
        return runnable && of->shifted ? NO_MEMORY : 0;
    tell(of, events, place, 0, unclear);
    if (inside && (runnable ? of->shifted : of->tasks[place].woken)) {
        of->tasks[place].unclear_row = row;
        of->tasks[place].unclear_at = at;
        of->tasks[place].unclear_left = runnable ? LEFT_RUNNABLE : LEFT_WOKEN;
        events->left[row] = LEFT_ASLEEP;
        ++*unclear;
    }
    if (inside)
        of->tasks[place].woken = 0;
    return 0;
}

static void settle_pick(struct slicer *of, const struct events *events, int64_t row, int64_t at, int64_t *unclear)
{
    int64_t place = events->next[row] ? find(of, events->next[row]) : NONE;

    if (place == NONE)
        return;
    tell(of, events, place, at - of->tasks[place].unclear_at <= of->lookahead, unclear);
    if (row < events->settled_switches)
        of->tasks[place].woken = 0;
}

/* Make `left` of every settled switch say whether the task waits. */
static int settle(struct slicer *of, const struct events *events)
{
    struct cursor at = {0, 0, 0};
    int64_t unclear = 0;

    for (int64_t number = 0;; number++) {
        enum kind kind = next_kind(events, &at, events->wakeups, events->moves, events->switches);
        int inside = at.wakeup < events->settled_wakeups || at.row < events->settled_switches;

        if (kind == END || (!unclear && !inside))
            return 0;
        if (kind == WAKE && settle_wakeup(of, events, at.wakeup, &unclear))
            return NO_MEMORY;
        if (kind == SWITCH) {
            if (settle_leaving(of, events, at.row, number, &unclear))
                return NO_MEMORY;
            settle_pick(of, events, at.row, number, &unclear);
        }
        at.wakeup += kind == WAKE;
        at.move += kind == MOVE;
        at.row += kind == SWITCH;
    }
}

/* --- who waits --- */

static int wake(struct slicer *of, int32_t tid, int16_t cpu, int64_t time_ns)
{
    int64_t place = tid ? get(of, tid) : NONE;

    if (!tid || (place >= 0 && of->tasks[place].queue != NONE))
        return 0;
    if (place < 0)
        return NO_MEMORY;
    of->tasks[place].wait_ns = of->tasks[place].woken_ns = time_ns;
    return begin_wait(of, place, cpu);
}

static int move(struct slicer *of, int32_t tid, int16_t cpu)
{
    int64_t place = tid ? find(of, tid) : NONE;

    if (place == NONE || of->tasks[place].queue == NONE)
        return 0;
    end_wait(of, place);
    return begin_wait(of, place, cpu);
}

static int leave(struct slicer *of, const struct events *events, int64_t row)
{
    int32_t tid = events->prev[row];
    int waits = events->left[row] != LEFT_ASLEEP;
    int64_t place = !tid ? NONE : waits ? get(of, tid) : find(of, tid);

    if (!tid || (place < 0 && !waits))
        return 0;
    if (place < 0)
        return NO_MEMORY;
    if (of->tasks[place].queue != NONE)
        end_wait(of, place);
    if (!waits)
        return 0;
    of->tasks[place].wait_ns = events->switch_ns[row];
    of->tasks[place].woken_ns = events->left[row] == LEFT_WOKEN ? events->switch_ns[row] : -1;
    return begin_wait(of, place, events->cpu[row]);
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
    int64_t place = tid ? find(of, tid) : NONE, length = 0;
    int waits = place != NONE && of->tasks[place].queue != NONE;
    int here = waits && of->tasks[place].queue == queue;

    found->wait_ns[row] = waits ? of->tasks[place].wait_ns : -1;
    found->woken_ns[row] = waits ? of->tasks[place].woken_ns : -1;
    if (found->group[row] == 1 || found->group[row] == 2)
        length = copy_out(of, &of->queues[queue], &of->lists[found->group[row] - 1], !here, tid);
    if (length < 0)
        return length;
    found->length[row] = (int32_t)length;
    if (waits)
        end_wait(of, place);
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
    *made = (struct slicer){
        .shifted = shifted != 0, .lookahead = lookahead, .most_values = most_values, .seed = seed};
    made->queues = calloc(QUEUES, sizeof *made->queues);
    if (!made->queues || make_room(made, 256)) {
        slicer_free(made);
        return NULL;
    }
    return made;
}

void slicer_free(struct slicer *slicer)
{
    if (!slicer)
        return;
    for (int64_t queue = 0; slicer->queues && queue < QUEUES; queue++) {
        free(slicer->queues[queue].tids);
        free(slicer->queues[queue].tasks);
    }
    free(slicer->queues);
    free(slicer->tasks);
    free(slicer->slots);
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
    failed = settle(slicer, events);
    if (!failed)
        failed = follow(slicer, events, found);
    if (!failed)
        forget(slicer);
    return failed;
}

/* How many tasks wait at the end of what was followed: all that are known between two calls. */
int64_t slicer_waiting(const struct slicer *slicer)
{
    return slicer->size;
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
