/* Tasks by tid, and the queues they wait in. */
#include "waiting.h"

#include <stdlib.h>
#include <string.h>

#include "native.h"

static uint64_t slot_of(const struct waiting *of, int32_t tid)
{
    uint64_t mixed = (uint32_t)tid ^ of->seed;

    mixed = (mixed ^ mixed >> 33) * 0xff51afd7ed558ccdULL;
    mixed = (mixed ^ mixed >> 33) * 0xc4ceb9fe1a85ec53ULL;
    return (mixed ^ mixed >> 33) & of->mask;
}

int64_t task_find(const struct waiting *of, int32_t tid)
{
    for (uint64_t slot = slot_of(of, tid); of->slots[slot]; slot = (slot + 1) & of->mask)
        if (of->tasks[of->slots[slot] - 1].tid == tid)
            return of->slots[slot] - 1;
    return NONE;
}

static void enter(struct waiting *of, int64_t place)
{
    uint64_t slot = slot_of(of, of->tasks[place].tid);

    while (of->slots[slot])
        slot = (slot + 1) & of->mask;
    of->slots[slot] = (int32_t)place + 1;
}

/* Room for more tasks, a power of two; there are twice as many slots. */
static int make_room(struct waiting *of, int64_t room)
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

int64_t task_get(struct waiting *of, int32_t tid)
{
    int64_t place = task_find(of, tid);

    if (place != NONE)
        return place;
    if (of->size == of->room && (of->room > INT32_MAX / 4 || make_room(of, of->room * 2)))
        return NO_MEMORY;
    place = of->size++;
    of->tasks[place] = (struct task){.tid = tid, .queue = NONE, .unclear_row = NONE};
    enter(of, place);
    return place;
}

void tasks_forget(struct waiting *of)
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

static void pack(struct waiting *of, struct queue *queue)
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

void wait_end(struct waiting *of, int64_t place)
{
    struct task *task = &of->tasks[place];
    struct queue *queue = &of->queues[task->queue];

    queue->tids[task->place] = 0;
    task->queue = NONE;
    if (++queue->holes > queue->size / 2 + 8)
        pack(of, queue);
}

int wait_begin(struct waiting *of, int64_t place, int16_t cpu)
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

int waiting_new(struct waiting *of, uint64_t seed)
{
    *of = (struct waiting){.seed = seed, .queues = calloc(QUEUES, sizeof *of->queues)};
    return !of->queues || make_room(of, 256) ? NO_MEMORY : 0;
}

void waiting_free(struct waiting *of)
{
    for (int64_t queue = 0; of->queues && queue < QUEUES; queue++) {
        free(of->queues[queue].tids);
        free(of->queues[queue].tasks);
    }
    free(of->queues);
    free(of->tasks);
    free(of->slots);
}
