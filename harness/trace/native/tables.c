/* Tables that grow, and are sorted by time. */
#define _GNU_SOURCE /* mremap, madvise */
#include "tables.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "native.h"

#define FIRST_ROOM 1024 /* rows */
#define LARGE (2 << 20) /* bytes; larger arrays are mapped in huge pages, which cause fewer page faults */

/* Resize memory of `old` bytes. NULL where there is too little. Large memory is moved by remapping, not by copying. */
static uint8_t *resized(uint8_t *data, int64_t old, int64_t bytes)
{
    void *mapped;

    if (bytes < LARGE)
        return realloc(data, (size_t)bytes);
    if (old >= LARGE)
        mapped = mremap(data, (size_t)old, (size_t)bytes, MREMAP_MAYMOVE);
    else
        mapped = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
        return NULL;
    (void)madvise(mapped, (size_t)bytes, MADV_HUGEPAGE); /* only advice: small pages do as well */
    if (old && old < LARGE) {
        memcpy(mapped, data, (size_t)old);
        free(data);
    }
    return mapped;
}

static void release(uint8_t *data, int64_t bytes)
{
    if (bytes < LARGE)
        free(data);
    else
        munmap(data, (size_t)bytes);
}

int table_grow(struct table *table)
{
    int64_t room = table->room ? 2 * table->room : FIRST_ROOM;

    if (table->rows < table->room)
        return 0;
    if (room > INT32_MAX)
        return NO_MEMORY;
    for (int32_t index = 0; index < table->column_count; index++) {
        struct column *column = &table->columns[index];
        uint8_t *data = resized(column->data, column->room * column->width, room * column->width);

        if (!data)
            return NO_MEMORY;
        column->data = data;
        column->room = room;
    }
    table->room = room;
    return 0;
}

/* Copy the items with the indices `order` to `target`. */
static void gather(uint8_t *target, const uint8_t *source, int32_t width, const int32_t *order, int64_t rows)
{
    for (int64_t row = 0; row < rows; row++) {
        const uint8_t *item = source + (int64_t)order[row] * width;

        switch (width) {
        case 1:
            target[row] = *item;
            break;
        case 2:
            memcpy(target + 2 * row, item, 2);
            break;
        case 4:
            memcpy(target + 4 * row, item, 4);
            break;
        default:
            memcpy(target + 8 * row, item, 8);
        }
    }
}

/* Bring the rows into `order`. Rows before the first and after the last one that moves are not touched. */
static void reorder(struct table *table, const int32_t *order, uint8_t *spare)
{
    int64_t first = 0, stop = table->rows;

    while (first < stop && order[first] == first)
        first++;
    while (stop > first && order[stop - 1] == stop - 1)
        stop--;
    for (int32_t index = 0; index < table->column_count; index++) {
        struct column *column = &table->columns[index];
        int64_t bytes = (stop - first) * column->width;

        gather(spare, column->data, column->width, order + first, stop - first);
        memcpy(column->data + first * column->width, spare, (size_t)bytes);
    }
}

/* Sort the rows by time, then by `keys`. */
static int sort_rows(struct table *table, const int32_t *keys, void *scratch)
{
    const int64_t *times = (const int64_t *)table->columns[TIME_COLUMN].data;
    uint8_t *spare = scratch;
    int32_t *order = (int32_t *)(spare + table->rows * 8);
    int64_t runs = sort_by_time(times, keys, (int32_t)table->rows, order, order + table->rows);

    if (runs > 1)
        reorder(table, order, spare);
    return runs < 0 ? NO_MEMORY : 0;
}

int table_sort(struct table *table, void *scratch)
{
    const int32_t *parts = table->part_column ? (const int32_t *)table->columns[table->part_column].data : NULL;

    return table->rows < 2 ? 0 : sort_rows(table, parts, scratch);
}

static int is_by_cpu(const struct table *table)
{
    const int64_t *times = (const int64_t *)table->columns[TIME_COLUMN].data;
    const int16_t *cpus = (const int16_t *)table->columns[CPU_COLUMN].data;

    for (int64_t row = 1; row < table->rows; row++)
        if (times[row] == times[row - 1] && cpus[row] < cpus[row - 1])
            return 0;
    return 1;
}

int table_sort_by_cpu(struct table *table)
{
    const int16_t *cpus = (const int16_t *)table->columns[CPU_COLUMN].data;
    size_t rows = (size_t)table->rows;
    uint8_t *scratch;
    int32_t *keys;
    int failed;

    if (is_by_cpu(table))
        return 0;
    scratch = malloc(rows * (SCRATCH_BYTES + sizeof *keys));
    if (!scratch)
        return NO_MEMORY;
    keys = (int32_t *)(scratch + rows * SCRATCH_BYTES);
    for (size_t row = 0; row < rows; row++)
        keys[row] = cpus[row];
    failed = sort_rows(table, keys, scratch);
    free(scratch);
    return failed;
}

void table_drop(struct table *table, int64_t rows)
{
    if (rows <= 0)
        return;
    if (rows > table->rows)
        rows = table->rows;
    for (int32_t index = 0; index < table->column_count; index++) {
        struct column *column = &table->columns[index];

        memmove(column->data, column->data + rows * column->width, (size_t)((table->rows - rows) * column->width));
    }
    table->rows -= rows;
}

int64_t table_before(const struct table *table, int64_t time)
{
    const int64_t *times = (const int64_t *)table->columns[TIME_COLUMN].data;
    int64_t low = 0, high = table->rows;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;

        if (times[middle] < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void table_free(struct table *table)
{
    for (int32_t index = 0; index < table->column_count; index++)
        release(table->columns[index].data, table->columns[index].room * table->columns[index].width);
}
