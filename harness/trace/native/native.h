/* What the C files share. Every function checks its own bounds: the bytes it is given are anybody's. */
#ifndef HARNESS_NATIVE_H
#define HARNESS_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#define NO_MEMORY (-1)

/* What is known of a CPU, above the 32 bits of the tid that runs there. */
#define CPU_MET ((int64_t)1 << 32)
#define TASK_KNOWN ((int64_t)1 << 33)

/* sort.c */
int64_t time_order(const int64_t *times, const int32_t *parts, int32_t rows, int32_t *order, int32_t *spare);

#endif
