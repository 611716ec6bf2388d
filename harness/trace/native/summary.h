/* Adds up a recording's events by task and by CPU. harness/trace/summary.py says what each number means. */
#ifndef HARNESS_SUMMARY_H
#define HARNESS_SUMMARY_H

#include <stdint.h>

/* Columns of four tables, each sorted by time; switches of one time are sorted by CPU. No earlier row can come. */
struct summary_events {
    int64_t switches;
    const int64_t *switch_ns;
    const int16_t *cpu;
    const int32_t *prev, *state, *next, *prev_name, *next_name;
    int64_t wakeups;
    const int64_t *wake_ns;
    const int32_t *woken;
    const int16_t *target;
    int64_t moves;
    const int64_t *move_ns;
    const int32_t *moved;
    const int16_t *dest;
    int64_t runtimes;
    const int64_t *runtime_at_ns;
    const int32_t *accounted;
    const int64_t *runtime_ns;
    const int32_t *runtime_name;
};

/* What a prev_state tells of the task that left. The last: a shifted kernel prints an idle kernel thread like a preempted
 * task, so only later events show whether it slept. */
enum left_as { ASLEEP, RUNNABLE, RUNNABLE_UNLESS_IT_SLEPT };

/* Sums, of numbers that may come from a forged file, wrap around. */
struct statistics {
    int64_t count, sum, least, largest;
    double mean, squares; /* squares: the sum of the squared differences from the mean */
};

struct task_summary {
    int32_t tid, name, name_rank; /* the name is of the events that rank highest: see `enum name_rank` */
    int32_t was_picked;
    struct statistics runs, delays;
    int64_t longest_delay_from; /* ns */
    int64_t preemptions, migrations, runtime_ns;
    int64_t first_left, first_woken, first_accounted; /* ns; NEVER */
};

/* NOT_SHOWN: a task that only woke up or moved. */
enum name_rank { NOT_SHOWN, NAMED_BY_RUNTIME, NAMED_BY_NEXT, NAMED_BY_PREV };

struct cpu_summary {
    int64_t switches, busy_ns, idle_ns, preemptions, contested;
    int64_t picks, runnable, most_runnable; /* over slices of other tasks than the idle task */
    int64_t last_ns;                        /* of the last switch */
    int64_t open_runnable;                  /* tasks in the runnable set of the stay that goes on */
    int32_t open_tid;
};

struct summary;

#endif
