/* Adds up runs, waits and slices. The tracker says since when each picked task waited, and among how many. */
#include "summary.h"

#include <stdlib.h>

#include "decoder.h"
#include "native.h"
#include "tids.h"
#include "tracker.h"

#define CPUS 65536
#define MAX_SET_VALUES INT64_MAX /* no sets are kept */

/* What the tracker says of each switch; arrays with memory for `room` switches. */
struct waits {
    uint8_t *leave_kind, *group;
    int64_t *wait_ns, *woken_ns;
    int32_t *length;
    int64_t room;
};

struct summary {
    struct tracker *tracker;
    int64_t lookahead;
    struct tids tids; /* the number of a tid is its task's index */
    struct task_summary *tasks;
    int64_t room;
    struct cpu_summary *cpus; /* CPUS */
    struct waits waits;
};

/* --- sums --- */

static int64_t sum_of(int64_t sum, int64_t value)
{
    return (int64_t)((uint64_t)sum + (uint64_t)value);
}

static int64_t difference_of(int64_t end, int64_t begin)
{
    return (int64_t)((uint64_t)end - (uint64_t)begin);
}

static void add_value(struct statistics *statistics, int64_t value)
{
    double change = (double)value - statistics->mean;

    if (!statistics->count++ || value < statistics->least)
        statistics->least = value;
    if (value > statistics->largest)
        statistics->largest = value;
    statistics->sum = sum_of(statistics->sum, value);
    statistics->mean += change / (double)statistics->count;
    statistics->squares += change * ((double)value - statistics->mean);
}

/* --- tasks --- */

/* Return the task of a tid, which is added if it is not known; NULL where there is too little memory. */
static struct task_summary *task_of(struct summary *summary, int32_t tid)
{
    int64_t known = summary->tids.size, index = tid_add(&summary->tids, tid);

    if (index < 0)
        return NULL;
    if (index < known)
        return &summary->tasks[index];
    if (index == summary->room) {
        struct task_summary *tasks = realloc(summary->tasks, (size_t)summary->tids.room * sizeof *tasks);

        if (!tasks)
            return NULL;
        summary->tasks = tasks;
        summary->room = summary->tids.room;
    }
    summary->tasks[index] =
        (struct task_summary){.tid = tid, .first_left = NEVER, .first_woken = NEVER, .first_accounted = NEVER};
    return &summary->tasks[index];
}

static void name_task(struct task_summary *task, int32_t name, enum name_rank rank)
{
    if ((int32_t)rank < task->name_rank)
        return;
    task->name = name;
    task->name_rank = (int32_t)rank;
}

static int add_wakeups(struct summary *summary, const struct summary_events *events, int64_t rows)
{
    for (int64_t row = 0; row < rows; row++) {
        struct task_summary *task = task_of(summary, events->woken[row]);

        if (!task)
            return NO_MEMORY;
        if (task->first_woken == NEVER)
            task->first_woken = events->wake_ns[row];
    }
    return 0;
}

static int add_moves(struct summary *summary, const struct summary_events *events, int64_t rows)
{
    for (int64_t row = 0; row < rows; row++) {
        struct task_summary *task = task_of(summary, events->moved[row]);

        if (!task)
            return NO_MEMORY;
        task->migrations++;
    }
    return 0;
}

static int add_runtimes(struct summary *summary, const struct summary_events *events)
{
    for (int64_t row = 0; row < events->runtimes; row++) {
        struct task_summary *task = task_of(summary, events->accounted[row]);

        if (!task)
            return NO_MEMORY;
        if (task->first_accounted == NEVER)
            task->first_accounted = events->runtime_at_ns[row];
        task->runtime_ns = sum_of(task->runtime_ns, events->runtime_ns[row]);
        name_task(task, events->runtime_name[row], NAMED_BY_RUNTIME);
    }
    return 0;
}

/* --- switches --- */

static int note_first_leaves(struct summary *summary, const struct summary_events *events, int64_t rows)
{
    for (int64_t row = 0; row < rows; row++) {
        struct task_summary *task = task_of(summary, events->prev[row]);

        if (!task)
            return NO_MEMORY;
        if (task->first_left == NEVER)
            task->first_left = events->switch_ns[row];
    }
    return 0;
}

/* Count the stay that ends with this switch, unless its end was lost. */
static void end_stay(struct cpu_summary *cpu, int32_t prev)
{
    if (!cpu->switches || cpu->open_tid != prev)
        return;
    cpu->contested += cpu->open_runnable - !prev >= 2;
    if (!prev)
        return;
    cpu->picks++;
    cpu->runnable = sum_of(cpu->runnable, cpu->open_runnable);
    if (cpu->open_runnable > cpu->most_runnable)
        cpu->most_runnable = cpu->open_runnable;
}

static int leave(struct summary *summary, const struct summary_events *events, int64_t row, int is_runnable)
{
    struct cpu_summary *cpu = &summary->cpus[(uint16_t)events->cpu[row]];
    int64_t run_ns = cpu->switches ? difference_of(events->switch_ns[row], cpu->last_ns) : 0;
    struct task_summary *task = task_of(summary, events->prev[row]);

    if (!task)
        return NO_MEMORY;
    end_stay(cpu, task->tid);
    add_value(&task->runs, run_ns);
    task->preemptions += is_runnable;
    name_task(task, events->prev_name[row], NAMED_BY_PREV);
    cpu->preemptions += is_runnable && task->tid;
    if (task->tid)
        cpu->busy_ns = sum_of(cpu->busy_ns, run_ns);
    else
        cpu->idle_ns = sum_of(cpu->idle_ns, run_ns);
    cpu->last_ns = events->switch_ns[row];
    cpu->switches++;
    return 0;
}

/* When the wait before this pick began: for a task whose first event this is, now; if its first event was a
 * sched_stat_runtime, then; else as the tracker says, -1: not known. */
static int64_t wait_begin_ns(const struct task_summary *task, int64_t now, int64_t tracked)
{
    int was_accounted = task->first_accounted < task->first_woken;

    if (task->was_picked || now >= task->first_left || (now > task->first_woken && !was_accounted))
        return tracked;
    return was_accounted && task->first_accounted < now ? task->first_accounted : now;
}

static int pick(struct summary *summary, const struct summary_events *events, int64_t row)
{
    struct cpu_summary *cpu = &summary->cpus[(uint16_t)events->cpu[row]];
    struct task_summary *task = task_of(summary, events->next[row]);
    int64_t now = events->switch_ns[row], begin, delay;

    if (!task)
        return NO_MEMORY;
    cpu->open_tid = task->tid;
    cpu->open_runnable = summary->waits.length[row];
    begin = wait_begin_ns(task, now, summary->waits.wait_ns[row]);
    task->was_picked = 1;
    name_task(task, events->next_name[row], NAMED_BY_NEXT);
    if (begin < 0)
        return 0;
    delay = difference_of(now, begin);
    if (!task->delays.count || delay > task->delays.largest)
        task->longest_delay_from = begin;
    add_value(&task->delays, delay);
    return 0;
}

/* Whether the task that left was still runnable; the tracker has classified how it left. */
static int was_runnable(const struct summary *summary, int64_t row, uint8_t meaning)
{
    int slept = summary->waits.leave_kind[row] == LEFT_ASLEEP;

    return meaning == RUNNABLE || (meaning == RUNNABLE_UNLESS_IT_SLEPT && !slept);
}

static int add_switches(struct summary *summary, const struct summary_events *events, int64_t rows,
                        const uint8_t *meanings)
{
    int failed = note_first_leaves(summary, events, rows);

    for (int64_t row = 0; row < rows && !failed; row++) {
        failed = leave(summary, events, row, was_runnable(summary, row, meanings[events->state[row]]));
        if (!failed)
            failed = pick(summary, events, row);
    }
    return failed;
}

/* --- waits --- */

static void waits_free(struct waits *waits)
{
    free(waits->leave_kind);
    free(waits->group);
    free(waits->wait_ns);
    free(waits->woken_ns);
    free(waits->length);
    *waits = (struct waits){0};
}

static int waits_grow(struct waits *waits, int64_t rows)
{
    size_t room = (size_t)rows + (size_t)rows / 2 + 1;

    if (rows < waits->room)
        return 0;
    waits_free(waits);
    waits->leave_kind = malloc(room * sizeof *waits->leave_kind);
    waits->group = calloc(room, sizeof *waits->group);
    waits->wait_ns = malloc(room * sizeof *waits->wait_ns);
    waits->woken_ns = malloc(room * sizeof *waits->woken_ns);
    waits->length = malloc(room * sizeof *waits->length);
    if (!waits->leave_kind || !waits->group || !waits->wait_ns || !waits->woken_ns || !waits->length)
        return NO_MEMORY;
    waits->room = (int64_t)room;
    return 0;
}

static int64_t last_ns(const int64_t *times, int64_t rows)
{
    return rows ? times[rows - 1] : INT64_MIN;
}

static int64_t rows_before(const int64_t *times, int64_t rows, int64_t time)
{
    while (rows && times[rows - 1] >= time)
        rows--;
    return rows;
}

/* Take back from what is settled the last `count` events, and those of the same time as the first of them. */
static void unsettle(struct events *events, int64_t count)
{
    int64_t *switches = &events->settled_switches, *wakeups = &events->settled_wakeups, *moves = &events->settled_moves;
    int64_t time = INT64_MAX;

    for (; count && *switches + *wakeups + *moves; count--) {
        int64_t switch_ns = last_ns(events->switch_ns, *switches), wake_ns = last_ns(events->wake_ns, *wakeups);
        int64_t move_ns = last_ns(events->move_ns, *moves);

        time = switch_ns > wake_ns ? switch_ns : wake_ns;
        time = time > move_ns ? time : move_ns;
        if (*switches && switch_ns == time)
            --*switches;
        else if (*wakeups && wake_ns == time)
            --*wakeups;
        else
            --*moves;
    }
    *switches = rows_before(events->switch_ns, *switches, time);
    *wakeups = rows_before(events->wake_ns, *wakeups, time);
    *moves = rows_before(events->move_ns, *moves, time);
}

/* The events for the tracker. It settles those of the last `lookahead` events that are earlier than all of these, or
 * with `is_last` all events. */
static struct events tracked_events(const struct summary *summary, const struct summary_events *events, int is_last)
{
    struct events tracked = {
        events->switches, events->switches, events->switch_ns, events->cpu, events->prev, events->next,
        summary->waits.leave_kind,
        events->wakeups, events->wakeups, events->wake_ns, events->woken, events->target,
        events->moves, events->moves, events->move_ns, events->moved, events->dest,
    };

    if (!is_last)
        unsettle(&tracked, summary->lookahead);
    return tracked;
}

static int64_t track(struct summary *summary, const struct summary_events *events, const uint8_t *meanings,
                     int is_last, struct events *tracked)
{
    struct waits *waits = &summary->waits;
    struct switch_waits results;

    if (waits_grow(waits, events->switches))
        return NO_MEMORY;
    for (int64_t row = 0; row < events->switches; row++)
        waits->leave_kind[row] = meanings[events->state[row]] == ASLEEP ? LEFT_ASLEEP : LEFT_RUNNABLE;
    results = (struct switch_waits){waits->group, waits->wait_ns, waits->woken_ns, waits->length};
    *tracked = tracked_events(summary, events, is_last);
    return tracker_feed(summary->tracker, tracked, &results);
}

/* --- called by Python --- */

void summary_free(struct summary *summary)
{
    if (!summary)
        return;
    tracker_free(summary->tracker);
    tids_free(&summary->tids);
    free(summary->tasks);
    free(summary->cpus);
    waits_free(&summary->waits);
    free(summary);
}

/* Return an empty summary, or NULL where there is no memory. The arguments are those of `tracker_new`. */
struct summary *summary_new(int64_t shifted, int64_t lookahead, uint64_t seed)
{
    struct summary *summary = calloc(1, sizeof *summary);

    if (!summary)
        return NULL;
    summary->lookahead = lookahead;
    summary->tracker = tracker_new(shifted, lookahead, MAX_SET_VALUES, seed);
    summary->cpus = calloc(CPUS, sizeof *summary->cpus);
    if (tids_new(&summary->tids, seed) || !summary->tracker || !summary->cpus) {
        summary_free(summary);
        return NULL;
    }
    return summary;
}

/* Add all runtimes, and the other events that are settled: those before the last `lookahead` ones, or with `is_last` all.
 * The others only show what a task does next, and must be passed again with the next call. `meanings` has an
 * `enum left_as` for the number of each state in `events`. Set how many rows are `settled`: switches, wakeups,
 * moves. Return 0 or NO_MEMORY; after this the summary cannot be used any more. */
int64_t summary_feed(struct summary *summary, const struct summary_events *events, const uint8_t *meanings,
                     int64_t is_last, int64_t settled[3])
{
    struct events tracked;

    if (track(summary, events, meanings, is_last != 0, &tracked))
        return NO_MEMORY;
    settled[0] = tracked.settled_switches;
    settled[1] = tracked.settled_wakeups;
    settled[2] = tracked.settled_moves;
    if (add_runtimes(summary, events) || add_wakeups(summary, events, settled[1]) ||
        add_moves(summary, events, settled[2]) || add_switches(summary, events, settled[0], meanings))
        return NO_MEMORY;
    return 0;
}

/* Return the tasks, and set how many they are. They move when events are added. */
const struct task_summary *summary_tasks(const struct summary *summary, int64_t *count)
{
    *count = summary->tids.size;
    return summary->tasks;
}

/* Return the 65536 CPUs: of a negative number n, that at 65536 + n. */
const struct cpu_summary *summary_cpus(const struct summary *summary)
{
    return summary->cpus;
}
