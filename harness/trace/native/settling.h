/* How each task left its CPU: asleep, wanting to go on, or woken while it went to sleep. */
#ifndef HARNESS_SETTLING_H
#define HARNESS_SETTLING_H

#include <stdint.h>

#include "slices.h"
#include "waiting.h"

/* Make `left` of every settled switch say whether the task waits. NO_MEMORY where there is too little. */
int settle(struct waiting *waiting, const struct events *events, int64_t shifted, int64_t lookahead);

#endif
