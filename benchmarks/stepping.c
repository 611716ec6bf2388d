/* How long an exported predictor takes for one event: compiled beside it, with -DHEADER and -DNAME, and loaded. */
#include <time.h>

#include HEADER

#define JOINED(name, what) name##_##what
#define OF(name, what) JOINED(name, what)

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

/* Nanoseconds per event over all events, one after another; `right` gets how many marks were foreseen. */
double stepping_ns(const OF(NAME, event) *events, long count, long *right)
{
    OF(NAME, state) state;
    OF(NAME, prediction) foreseen = OF(NAME, init)(&state);
    double began = now_ns();

    *right = 0;
    for (long i = 0; i < count; i++) {
        *right += foreseen.mark == events[i].mark;
        foreseen = OF(NAME, step)(&state, &events[i]);
    }
    return (now_ns() - began) / count;
}
