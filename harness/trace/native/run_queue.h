/* The tasks that are known, and on each CPU a queue of those that wait there.
 *
 * A queue is an array of tids, in the order in which they began to wait. A task that leaves it leaves a hole (tid 0, the
 * idle task, which never waits), so that all is quick: to begin, to end, and to copy the queue out. Queues are packed
 * when there are more holes than tasks. */
#ifndef HARNESS_RUN_QUEUE_H
#define HARNESS_RUN_QUEUE_H

#include <stdint.h>

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

/* Tasks are told apart by their place among the `tasks`, which may move when one is made known. */
struct run_queues {
    uint64_t seed; /* so that nobody can choose tids that collide */
    struct task *tasks;
    int64_t size, room;
    int32_t *slots; /* a hash table: a task's place + 1, or 0 */
    uint64_t mask;
    struct queue *queues;
};

/* NO_MEMORY where there is too little; what there is then is for `waiting_free`, as always. */
int run_queues_new(struct run_queues *queues, uint64_t seed);
void run_queues_free(struct run_queues *queues);
/* The place of a task, or NONE. */
int64_t task_find(const struct run_queues *queues, int32_t tid);
/* The place of a task, which is made known if it is not yet; or NO_MEMORY. */
int64_t task_get(struct run_queues *queues, int32_t tid);
/* Keep only the tasks that wait. */
void tasks_forget(struct run_queues *queues);
/* Put a task that waits nowhere behind those that wait on `cpu`; NO_MEMORY where there is no room. */
int wait_begin(struct run_queues *queues, int64_t place, int16_t cpu);
/* Take a task that waits out of its queue. */
void wait_end(struct run_queues *queues, int64_t place);

static inline int32_t queue_of(int16_t cpu)
{
    return (int32_t)cpu + QUEUES / 2;
}

#endif
