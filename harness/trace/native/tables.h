/* Tables that grow: each column is one array of plain numbers. */
#ifndef HARNESS_TABLES_H
#define HARNESS_TABLES_H

#include <stdint.h>

#define MAX_COLUMNS 12
#define SCRATCH_BYTES 16
#define TIME_COLUMN 0 /* int64, ns */
#define CPU_COLUMN 1  /* int16 */

struct column {
    uint8_t *data;
    int32_t width; /* bytes of a number: 1, 2, 4 or 8 */
    int64_t room;  /* for so many rows there is memory */
};

struct table {
    struct column columns[MAX_COLUMNS];
    int32_t column_count;
    int32_t part_column; /* the file that a row is from; 0 where the recording is one file */
    int64_t rows, room;
};

/* Make room for one more row. Return 0 or NO_MEMORY. */
int table_grow(struct table *table);
/* Sort the rows by time, part, and the order in which they were added. `scratch` has SCRATCH_BYTES for each row.
 * Return 0 or NO_MEMORY. */
int table_sort(struct table *table, void *scratch);
/* Sort the rows of one time, in a table that is sorted by time, by CPU. Return 0 or NO_MEMORY. */
int table_sort_by_cpu(struct table *table);
/* Drop the first `rows` rows. */
void table_drop(struct table *table, int64_t rows);
/* Return how many rows of a sorted table are earlier than `time`. */
int64_t table_before(const struct table *table, int64_t time);
void table_free(struct table *table);

/* Store the first bytes of `source`, as many as the column is wide. */
static inline void column_copy(const struct column *column, int64_t row, const uint8_t *source)
{
    uint8_t *cell = column->data + row * column->width;

    switch (column->width) {
    case 1:
        *cell = *source;
        break;
    case 2:
        __builtin_memcpy(cell, source, 2);
        break;
    case 4:
        __builtin_memcpy(cell, source, 4);
        break;
    default:
        __builtin_memcpy(cell, source, 8);
    }
}

static inline void column_put(const struct column *column, int64_t row, int64_t value)
{
    uint8_t *cell = column->data + row * column->width;
    int16_t two = (int16_t)value;
    int32_t four = (int32_t)value;

    switch (column->width) {
    case 1:
        *cell = (uint8_t)value;
        break;
    case 2:
        __builtin_memcpy(cell, &two, sizeof two);
        break;
    case 4:
        __builtin_memcpy(cell, &four, sizeof four);
        break;
    default:
        __builtin_memcpy(cell, &value, sizeof value);
    }
}

#endif
