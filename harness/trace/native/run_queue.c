/* Tasks by tid, and the queues in which they wait. */
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

static void add_slot(struct run_queues *queues, int64_t index)
{
    uint64_t slot = slot_of(queues, queues->tasks[index].tid);

    while (queues->slots[slot])
        slot = (slot + 1) & queues->mask;
    queues->slots[slot] = (int32_t)index + 1;
}

/* Make room for `room` tasks, a power of two; there are twice as many slots. */
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
    for (int64_t index = 0; index < queues->size; index++)
        add_slot(queues, index);
    return 0;
}

int64_t task_get(struct run_queues *queues, int32_t tid)
{
    int64_t index = task_find(queues, tid);

    if (index != NONE)
        return index;
    if (queues->size == queues->room && (queues->room > INT32_MAX / 4 || make_room(queues, queues->room * 2)))
        return NO_MEMORY;
    index = queues->size++;
    queues->tasks[index] = (struct task){.tid = tid, .queue = NONE, .pending_row = NONE};
    add_slot(queues, index);
    return index;
}

void tasks_forget(struct run_queues *queues)
{
    int64_t kept = 0;

    for (int64_t index = 0; index < queues->size; index++) {
        struct task *task = &queues->tasks[index];

        if (task->queue == NONE)
            continue;
        task->pending_row = NONE;
        queues->by_cpu[task->queue].tasks[task->position] = (int32_t)kept;
        queues->tasks[kept++] = *task;
    }
    queues->size = kept;
    memset(queues->slots, 0, (size_t)(queues->mask + 1) * sizeof *queues->slots);
    for (int64_t index = 0; index < kept; index++)
        add_slot(queues, index);
}

static void pack(struct run_queues *queues, struct queue *queue)
{
    int64_t kept = 0;

    for (int64_t position = 0; position < queue->size; position++) {
        if (!queue->tids[position])
            continue;
        queue->tids[kept] = queue->tids[position];
        queue->tasks[kept] = queue->tasks[position];
        queues->tasks[queue->tasks[kept]].position = kept;
        kept++;
    }
    queue->size = kept;
    queue->holes = 0;
}

void wait_end(struct run_queues *queues, int64_t index)
{
    struct task *task = &queues->tasks[index];
    struct queue *queue = &queues->by_cpu[task->queue];

    queue->tids[task->position] = 0;
    task->queue = NONE;
    if (++queue->holes > queue->size / 2 + 8)
        pack(queues, queue);
}

int wait_begin(struct run_queues *queues, int64_t index, int16_t cpu)
{
    struct task *task = &queues->tasks[index];
    struct queue *queue = &queues->by_cpu[queue_of(cpu)];

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
    queue->tasks[queue->size] = (int32_t)index;
    task->queue = queue_of(cpu);
    task->position = queue->size++;
    return 0;
}

int run_queues_new(struct run_queues *queues, uint64_t seed)
{
    *queues = (struct run_queues){.seed = seed, .by_cpu = calloc(QUEUES, sizeof *queues->by_cpu)};
    return !queues->by_cpu || make_room(queues, 256) ? NO_MEMORY : 0;
}

void run_queues_free(struct run_queues *queues)
{
    for (int64_t queue = 0; queues->by_cpu && queue < QUEUES; queue++) {
        free(queues->by_cpu[queue].tids);
        free(queues->by_cpu[queue].tasks);
    }
    free(queues->by_cpu);
    free(queues->tasks);
    free(queues->slots);
}
