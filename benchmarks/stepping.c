/* Time per event of an exported predictor; compiled together with it, with -DHEADER and -DNAME. */
#include <time.h>

#include HEADER

#define JOIN(name, suffix) name##_##suffix
#define SYMBOL(name, suffix) JOIN(name, suffix)

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

/* Return nanoseconds per event, over all events in turn; `hits` receives the number of marks predicted correctly. */
double stepping_ns(const SYMBOL(NAME, event) *events, long count, long *hits)
{
    SYMBOL(NAME, state) state;
    SYMBOL(NAME, prediction) prediction = SYMBOL(NAME, init)(&state);
    double began = now_ns();

    *hits = 0;
    for (long i = 0; i < count; i++) {
        *hits += prediction.mark == events[i].mark;
        prediction = SYMBOL(NAME, step)(&state, &events[i]);
    }
    return (now_ns() - began) / count;
}
