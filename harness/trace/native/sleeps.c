/* Counts the sleeps that ended without a recorded wakeup, and the tasks that still wait where they were forgotten.
 *
 * A task that leaves asleep is woken before it runs again: where many are not, wakeups are missing. The clock of a guest
 * may stand still, and at one time wakeups are taken before switches, so a wakeup at the time of a pick counts for the
 * sleep after it, too. */
#include <stdlib.h>

#include "event_order.h"
#include "native.h"

#define MAX_TASKS (1 << 22) /* the kernel gives no higher tid */
#define STATES 31           /* the numbers of states that are told apart; recordings have about ten */
#define STATE 0x1f          /* what is known of a task: 1 + the number of the state in which it left, or 0, and flags */
#define RUNS 0x20
#define WAITS 0x40 /* it was woken after it left, for a CPU that was recorded */
#define WOKEN 0x80

struct sleeps {
    int64_t since_ns[MAX_TASKS]; /* when the task was last woken or left */
    uint8_t tasks[MAX_TASKS];
    int64_t ended[STATES], unwoken[STATES]; /* by the state in which the task had left */
    int64_t highest;                        /* the highest tid */
    int64_t has_times, first_ns, last_ns;
    uint64_t gap_ns; /* the longest time between two events */
};

/* NULL where there is no memory, of which only the part up to `highest` is used. */
struct sleeps *sleeps_new(void)
{
    return calloc(1, sizeof(struct sleeps));
}

void sleeps_free(struct sleeps *sleeps)
{
    free(sleeps);
}

/* Return what is known of a task; NULL for the idle task and an impossible one. */
static uint8_t *task_of(struct sleeps *sleeps, int32_t tid)
{
    if (tid <= 0 || tid >= MAX_TASKS)
        return NULL;
    if (tid > sleeps->highest)
        sleeps->highest = tid;
    return &sleeps->tasks[tid];
}

static void wake(struct sleeps *sleeps, int32_t tid, int64_t time, int is_recorded)
{
    uint8_t *task = task_of(sleeps, tid);

    if (!task)
        return;
    if (!(*task & RUNS) && is_recorded)
        *task |= WAITS;
    *task |= WOKEN;
    sleeps->since_ns[tid] = time;
}

static void move(struct sleeps *sleeps, int32_t tid, int is_recorded)
{
    uint8_t *task = task_of(sleeps, tid);

    if (task && !is_recorded)
        *task &= WOKEN | RUNS;
}

static void leave(struct sleeps *sleeps, int32_t tid, int64_t time, int32_t state)
{
    uint8_t *task = task_of(sleeps, tid);

    if (!task)
        return;
    *task = (uint8_t)((*task & WOKEN) | (state >= 0 && state < STATES ? state + 1 : 0));
    sleeps->since_ns[tid] = time;
}

static void pick(struct sleeps *sleeps, int32_t tid, int64_t time)
{
    uint8_t *task = task_of(sleeps, tid);

    if (!task)
        return;
    if (*task & STATE) {
        sleeps->ended[(*task & STATE) - 1]++;
        sleeps->unwoken[(*task & STATE) - 1] += !(*task & WOKEN);
    }
    *task = RUNS | ((*task & WOKEN) && sleeps->since_ns[tid] == time ? WOKEN : 0);
}

static void note_time(struct sleeps *sleeps, int64_t time)
{
    uint64_t gap_ns = (uint64_t)time - (uint64_t)sleeps->last_ns;

    if (!sleeps->has_times)
        sleeps->first_ns = time;
    else if (time > sleeps->last_ns && gap_ns > sleeps->gap_ns)
        sleeps->gap_ns = gap_ns;
    sleeps->has_times = 1;
    sleeps->last_ns = time;
}

/* Take the events, which are sorted by time, and later than those of the calls before. `states` has the number of the
 * state of each switch; `recorded` has a number for each of the 65536 CPUs, which is not 0 if it has events. */
void sleeps_feed(struct sleeps *sleeps, const int64_t *recorded, int64_t switches, const int64_t *switch_ns,
                 const int32_t *prev, const int32_t *states, const int32_t *next_tids, int64_t wakeups,
                 const int64_t *wake_ns, const int32_t *woken, const int16_t *target, int64_t moves,
                 const int64_t *move_ns, const int32_t *moved, const int16_t *dest)
{
    struct events given = {switches, switches, switch_ns, NULL,  prev,    next_tids, NULL, wakeups, wakeups,
                           wake_ns,  woken,    target,    moves, moves,   move_ns,   moved, dest};
    const struct events *events = &given;
    struct next_rows next = {0, 0, 0};

    for (;;) {
        switch (next_kind(events, &next, events->wakeups, events->moves, events->switches)) {
        case WAKE:
            note_time(sleeps, events->wake_ns[next.wakeup]);
            wake(sleeps, events->woken[next.wakeup], events->wake_ns[next.wakeup],
                 recorded[(uint16_t)events->target[next.wakeup]] != 0);
            next.wakeup++;
            break;
        case MOVE:
            move(sleeps, events->moved[next.move], recorded[(uint16_t)events->dest[next.move]] != 0);
            next.move++;
            break;
        case SWITCH:
            note_time(sleeps, events->switch_ns[next.row]);
            leave(sleeps, events->prev[next.row], events->switch_ns[next.row], states[next.row]);
            pick(sleeps, events->next[next.row], events->switch_ns[next.row]);
            next.row++;
            break;
        case END:
            return;
        }
    }
}

/* Return the longest time between two switches or wakeups, or between one and the first or last time of all. */
uint64_t sleeps_gap_ns(const struct sleeps *sleeps, int64_t first_ns, int64_t last_ns)
{
    uint64_t before = (uint64_t)sleeps->first_ns - (uint64_t)first_ns;
    uint64_t after = (uint64_t)last_ns - (uint64_t)sleeps->last_ns, longest = sleeps->gap_ns;

    if (!sleeps->has_times)
        return (uint64_t)last_ns - (uint64_t)first_ns;
    if (sleeps->first_ns > first_ns && before > longest)
        longest = before;
    return last_ns > sleeps->last_ns && after > longest ? after : longest;
}

/* Write of each state how many absences began in it and ended, how many of these without a wakeup, and how many have
 * lasted since before a time. Return how many tasks were woken before that time and have not run since. */
int64_t sleeps_count(const struct sleeps *sleeps, int64_t before_ns, int64_t *ended, int64_t *unwoken, int64_t *lasting)
{
    int64_t woken = 0;

    for (int32_t state = 0; state < STATES; state++) {
        ended[state] = sleeps->ended[state];
        unwoken[state] = sleeps->unwoken[state];
        lasting[state] = 0;
    }
    for (int64_t tid = 1; tid <= sleeps->highest; tid++) {
        uint8_t task = sleeps->tasks[tid];

        if (sleeps->since_ns[tid] >= before_ns)
            continue;
        woken += (task & WAITS) != 0;
        if ((task & STATE) && !(task & WAITS))
            lasting[(task & STATE) - 1]++;
    }
    return woken;
}
