/* Tasks by tid, and the queues they wait in. */
#include "run_queue.h"

#include <stdlib.h>
#include <string.h>

#include "native.h"

static uint64_t slot_of(const struct run_queues *queues, int32_t tid)
{
    uint64_t mixed = (uint32_t)tid ^ queues->seed;

    mixed = (mixed ^ mixed >> 33) * 0xff51afd7ed558ccdULL;
    mixed = (mixed ^ mixed >> 33) * 0xc4ceb9fe1a85ec53ULL;
    return (mixed ^ mixed >> 33) & queues->mask;
}

int64_t task_find(const struct run_queues *queues, int32_t tid)
{
    for (uint64_t slot = slot_of(queues, tid); queues->slots[slot]; slot = (slot + 1) & queues->mask)
        if (queues->tasks[queues->slots[slot] - 1].tid == tid)
            return queues->slots[slot] - 1;
    return NONE;
}

static void enter(struct run_queues *queues, int64_t place)
{
    uint64_t slot = slot_of(queues, queues->tasks[place].tid);

    while (queues->slots[slot])
        slot = (slot + 1) & queues->mask;
    queues->slots[slot] = (int32_t)place + 1;
}

/* Room for more tasks, a power of two; there are twice as many slots. */
static int make_room(struct run_queues *queues, int64_t room)
{
    struct task *tasks = realloc(queues->tasks, (size_t)room * sizeof *tasks);
    int32_t *slots;

    if (!tasks)
        return NO_MEMORY;
    queues->tasks = tasks;
    slots = calloc((size_t)room * 2, sizeof *slots);
    if (!slots)
        return NO_MEMORY;
    free(queues->slots);
    queues->slots = slots;
    queues->room = room;
    queues->mask = (uint64_t)room * 2 - 1;
    for (int64_t place = 0; place < queues->size; place++)
        enter(queues, place);
    return 0;
}

int64_t task_get(struct run_queues *queues, int32_t tid)
{
    int64_t place = task_find(queues, tid);

    if (place != NONE)
        return place;
    if (queues->size == queues->room && (queues->room > INT32_MAX / 4 || make_room(queues, queues->room * 2)))
        return NO_MEMORY;
    place = queues->size++;
    queues->tasks[place] = (struct task){.tid = tid, .queue = NONE, .unclear_row = NONE};
    enter(queues, place);
    return place;
}

void tasks_forget(struct run_queues *queues)
{
    int64_t kept = 0;

    for (int64_t place = 0; place < queues->size; place++) {
        struct task *task = &queues->tasks[place];

        if (task->queue == NONE)
            continue;
        task->unclear_row = NONE;
        queues->queues[task->queue].tasks[task->place] = (int32_t)kept;
        queues->tasks[kept++] = *task;
    }
    queues->size = kept;
    memset(queues->slots, 0, (size_t)(queues->mask + 1) * sizeof *queues->slots);
    for (int64_t place = 0; place < kept; place++)
        enter(queues, place);
}

static void pack(struct run_queues *queues, struct queue *queue)
{
    int64_t kept = 0;

    for (int64_t place = 0; place < queue->size; place++) {
        if (!queue->tids[place])
            continue;
        queue->tids[kept] = queue->tids[place];
        queue->tasks[kept] = queue->tasks[place];
        queues->tasks[queue->tasks[kept]].place = kept;
        kept++;
    }
    queue->size = kept;
    queue->holes = 0;
}

void wait_end(struct run_queues *queues, int64_t place)
{
    struct task *task = &queues->tasks[place];
    struct queue *queue = &queues->queues[task->queue];

    queue->tids[task->place] = 0;
    task->queue = NONE;
    if (++queue->holes > queue->size / 2 + 8)
        pack(queues, queue);
}

int wait_begin(struct run_queues *queues, int64_t place, int16_t cpu)
{
    struct task *task = &queues->tasks[place];
    struct queue *queue = &queues->queues[queue_of(cpu)];

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

int run_queues_new(struct run_queues *queues, uint64_t seed)
{
    *queues = (struct run_queues){.seed = seed, .queues = calloc(QUEUES, sizeof *queues->queues)};
    return !queues->queues || make_room(queues, 256) ? NO_MEMORY : 0;
}

void run_queues_free(struct run_queues *queues)
{
    for (int64_t queue = 0; queues->queues && queue < QUEUES; queue++) {
        free(queues->queues[queue].tids);
        free(queues->queues[queue].tasks);
    }
    free(queues->queues);
    free(queues->tasks);
    free(queues->slots);
}
