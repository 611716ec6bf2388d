/* Tables that grow: columns of plain numbers, one array each. */
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
    int64_t room;  /* rows there is memory for */
};

struct table {
    struct column columns[MAX_COLUMNS];
    int32_t column_count;
    int32_t part_column; /* which file of a folder a row is from; 0 where there is but one file */
    int64_t rows, room;
};

/* Room for one more row; NO_MEMORY where there is none. */
int table_grow(struct table *table);
/* Sort the rows by time; those of one time by part, and else as they were added. `scratch` has room for SCRATCH_BYTES
 * for each row. NO_MEMORY where there is too little. */
int table_sort(struct table *table, void *scratch);
/* Drop the first `rows` rows. */
void table_drop(struct table *table, int64_t rows);
/* How many rows of a sorted table are earlier than `time`. */
int64_t table_before(const struct table *table, int64_t time);
void table_free(struct table *table);

/* The number that `from` begins with, in the column's own width. */
static inline void column_copy(const struct column *table, int64_t row, const uint8_t *from)
{
    uint8_t *at = table->data + row * table->width;

    switch (table->width) {
    case 1:
        *at = *from;
        break;
    case 2:
        __builtin_memcpy(at, from, 2);
        break;
    case 4:
        __builtin_memcpy(at, from, 4);
        break;
    default:
        __builtin_memcpy(at, from, 8);
    }
}

static inline void column_put(const struct column *table, int64_t row, int64_t value)
{
    uint8_t *at = table->data + row * table->width;
    int16_t two = (int16_t)value;
    int32_t four = (int32_t)value;

    switch (table->width) {
    case 1:
        *at = (uint8_t)value;
        break;
    case 2:
        __builtin_memcpy(at, &two, sizeof two);
        break;
    case 4:
        __builtin_memcpy(at, &four, sizeof four);
        break;
    default:
        __builtin_memcpy(at, &value, sizeof value);
    }
}

#endif
