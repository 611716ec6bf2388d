/* What the C files share. Every function checks its own bounds: anybody may have written the bytes it is given. */
#ifndef HARNESS_NATIVE_H
#define HARNESS_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#define NO_MEMORY (-1)

/* sort.c */
int64_t time_order(const int64_t *times, const int32_t *parts, int32_t rows, int32_t *order, int32_t *spare);

#endif
