/* How each task left its CPU: asleep, wanting to go on, or woken while it went to sleep. */
#ifndef HARNESS_SWITCH_OUT_H
#define HARNESS_SWITCH_OUT_H

#include <stdint.h>

#include "tracker.h"
#include "run_queue.h"

/* Make `left` of every settled switch say whether the task waits. NO_MEMORY where there is too little. */
int classify_switch_outs(struct run_queues *queues, const struct events *events, int64_t shifted, int64_t lookahead);

#endif
