/*
$about
 */
#ifndef ${NAME}_H
#define ${NAME}_H

#include <stddef.h>
#include <stdint.h>

#define ${NAME}_MARKS $marks /* mark 0 is every task that is not in the training data */
#define ${NAME}_END_STATES $end_states

/* One event: `mark` ran for `slice_ns` and left the CPU in `end_state`. Codes out of range count as unknown. */
typedef struct {
    int32_t mark;
    int32_t end_state;
    int64_t slice_ns;
} ${name}_event;

/* The most likely next mark. */
typedef struct {
    int32_t mark;
    double probability;
} ${name}_prediction;

/* The memory of one CPU's stream; private to the predictor. */
typedef struct {
$state
} ${name}_state;

extern const char *const ${name}_mark_names[${NAME}_MARKS];
extern const char *const ${name}_end_state_names[${NAME}_END_STATES];

/* Start a stream, and predict its first event. */
${name}_prediction ${name}_init(${name}_state *state);

/* Read the event that happened, and predict the next. */
${name}_prediction ${name}_step(${name}_state *state, const ${name}_event *event);

/* Write the probability of each mark to be next, after the last init or step. */
void ${name}_distribution(const ${name}_state *state, double probability[${NAME}_MARKS]);

/* sizeof(${name}_state), for callers in other languages. */
size_t ${name}_state_bytes(void);

#endif
