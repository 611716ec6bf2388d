/* Tasks by tid, and the queues in which they wait. */
#include "run_queue.h"

#include <stdlib.h>

#include "native.h"

int64_t task_get(struct run_queues *queues, int32_t tid)
{
    int64_t known = queues->tids.size, index = tid_add(&queues->tids, tid);

    if (index < known)
        return index;
    if (index == queues->room) {
        struct task *tasks = realloc(queues->tasks, (size_t)queues->tids.room * sizeof *tasks);

        if (!tasks)
            return NO_MEMORY;
        queues->tasks = tasks;
        queues->room = queues->tids.room;
    }
    queues->tasks[index] = (struct task){.tid = tid, .queue = NONE, .pending_row = NONE};
    return index;
}

void tasks_forget(struct run_queues *queues)
{
    int64_t known = queues->tids.size, kept = 0;

    for (int64_t index = 0; index < known; index++) {
        struct task *task = &queues->tasks[index];

        if (task->queue == NONE)
            continue;
        task->pending_row = NONE;
        queues->by_cpu[task->queue].tasks[task->position] = (int32_t)kept;
        queues->tasks[kept++] = *task;
    }
    tids_clear(&queues->tids);
    for (int64_t index = 0; index < kept; index++)
        (void)tid_add(&queues->tids, queues->tasks[index].tid); /* there is room */
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
    *queues = (struct run_queues){.by_cpu = calloc(QUEUES, sizeof *queues->by_cpu)};
    return tids_new(&queues->tids, seed) || !queues->by_cpu ? NO_MEMORY : 0;
}

void run_queues_free(struct run_queues *queues)
{
    for (int64_t queue = 0; queues->by_cpu && queue < QUEUES; queue++) {
        free(queues->by_cpu[queue].tids);
        free(queues->by_cpu[queue].tasks);
    }
    free(queues->by_cpu);
    free(queues->tasks);
    tids_free(&queues->tids);
}
