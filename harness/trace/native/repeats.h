/* Events that several attrs recorded, because the recorder asked for a tracepoint more than once. */
#ifndef HARNESS_REPEATS_H
#define HARNESS_REPEATS_H

#include <stdint.h>

#define MAX_REPEATS 64 /* attrs of one tracepoint */

/* The last event of a tracepoint in one buffer of the recorder: a checksum, and a bit for each attr that has it. */
struct last_event {
    uint64_t checksum, attrs;
};

/* Return whether the sample of the attr with the bit `attr` repeats the last event; otherwise it becomes that event. */
int is_repeat(struct last_event *last, const uint8_t *data, int64_t size, uint64_t attr);

#endif
