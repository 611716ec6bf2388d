/* How each task left its CPU: asleep, still runnable, or asleep but woken meanwhile. */
#ifndef HARNESS_SWITCH_OUT_H
#define HARNESS_SWITCH_OUT_H

#include <stdint.h>

#include "run_queue.h"
#include "tracker.h"

/* Correct `leave_kind` of every settled switch, so that it shows whether the task waits. Return 0 or NO_MEMORY. */
int classify_switch_outs(struct run_queues *queues, const struct events *events, int64_t shifted, int64_t lookahead);

#endif
