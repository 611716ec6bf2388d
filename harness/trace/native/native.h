/* What the C files share. Every function checks its own bounds: the bytes it is given are anybody's. */
#ifndef HARNESS_NATIVE_H
#define HARNESS_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#define NO_MEMORY (-1)

/* sort.c */
int64_t time_order(const int64_t *times, int64_t rows, int64_t *order);

#endif
