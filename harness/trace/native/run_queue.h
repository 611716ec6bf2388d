/* The known tasks, and for each CPU a queue of those that wait there.
 *
 * A queue is an array of tids, in the order in which they began to wait. Removing a task leaves a hole: tid 0, which is
 * free because the idle task never waits. So beginning a wait and ending one take constant time on average. A queue is
 * packed when it has more holes than tasks. */
#ifndef HARNESS_RUN_QUEUE_H
#define HARNESS_RUN_QUEUE_H

#include <stdint.h>

#include "tids.h"

#define QUEUES 65536 /* one for each number that a CPU can have in 16 bits */

struct task {
    int32_t tid;
    int32_t queue;         /* the queue in which it waits, or NONE */
    int64_t position;      /* in that queue */
    int64_t wait_ns;       /* since when it waits */
    int64_t woken_ns;      /* when it was woken, or -1 */
    int64_t pending_row;   /* the switch-out that later events must still classify, or NONE */
    int64_t pending_event; /* the index of that switch among all events */
    uint8_t pending_kind;  /* the leave_kind of that switch if the task turns out to wait */
    uint8_t woken;         /* whether it was woken since it last left or got a CPU */
};

struct queue {
    int32_t *tids;
    int32_t *tasks; /* the index of each task */
    int64_t size, room, holes; /* positions in use, positions with memory, positions whose task was removed */
};

/* A task is known by its index in `tasks`, an array that may move when a task is added. */
struct run_queues {
    struct tids tids; /* the number of a tid is its task's index */
    struct task *tasks;
    int64_t room; /* tasks with memory */
    struct queue *by_cpu;
};

/* NO_MEMORY where there is too little; `run_queues_free` is needed all the same. */
int run_queues_new(struct run_queues *queues, uint64_t seed);
void run_queues_free(struct run_queues *queues);
/* Return the index of a task, which is added if it is not known; or NO_MEMORY. */
int64_t task_get(struct run_queues *queues, int32_t tid);
/* Forget the tasks that do not wait. */
void tasks_forget(struct run_queues *queues);
/* Append a task that waits nowhere to the queue of `cpu`; NO_MEMORY where there is no room. */
int wait_begin(struct run_queues *queues, int64_t index, int16_t cpu);
/* Take a task that waits out of its queue. */
void wait_end(struct run_queues *queues, int64_t index);

/* Return the index of a task, or NONE. */
static inline int64_t task_find(const struct run_queues *queues, int32_t tid)
{
    return tid_find(&queues->tids, tid);
}

static inline int32_t queue_of(int16_t cpu)
{
    return (int32_t)cpu + QUEUES / 2;
}

#endif
