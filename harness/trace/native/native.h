/* Shared by the C files. A function that reads bytes of a recording checks every bound, because anybody may have
 * written them. Table, column and group numbers come from Python, which passes only valid ones. */
#ifndef HARNESS_NATIVE_H
#define HARNESS_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#define NO_MEMORY (-1)

/* sort.c */
int64_t sort_by_time(const int64_t *times, const int32_t *parts, int32_t rows, int32_t *order, int32_t *spare);

/* sources.c */
int64_t sources_checksum(void);

#endif
