/* Tables that grow, and are sorted by time. */
#include "tables.h"

#include <stdlib.h>
#include <string.h>

#include "native.h"

#define FIRST_ROOM 1024 /* rows */

int table_grow(struct table *of)
{
    int64_t room = of->room ? 2 * of->room : FIRST_ROOM;

    if (of->rows < of->room)
        return 0;
    for (int32_t place = 0; place < of->column_count; place++) {
        struct column *column = &of->columns[place];
        uint8_t *data = realloc(column->data, (size_t)(room * column->width));

        if (!data)
            return NO_MEMORY;
        column->data = data;
    }
    of->room = room;
    return 0;
}

/* The `rows` items at the places `order`, one behind the other. */
static void gather(uint8_t *target, const uint8_t *source, int32_t width, const int64_t *order, int64_t rows)
{
    for (int64_t row = 0; row < rows; row++) {
        const uint8_t *item = source + order[row] * width;

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

/* Bring the rows into `order`, leaving alone those before the first and behind the last that move. */
static int reorder(struct table *of, const int64_t *order)
{
    int64_t first = 0, stop = of->rows;
    uint8_t *spare;

    while (first < stop && order[first] == first)
        first++;
    while (stop > first && order[stop - 1] == stop - 1)
        stop--;
    spare = malloc((size_t)(stop - first) * sizeof(int64_t) + 1);
    if (!spare)
        return NO_MEMORY;
    for (int32_t place = 0; place < of->column_count; place++) {
        struct column *column = &of->columns[place];
        int64_t bytes = (stop - first) * column->width;

        gather(spare, column->data, column->width, order + first, stop - first);
        memcpy(column->data + first * column->width, spare, (size_t)bytes);
    }
    free(spare);
    return 0;
}

int table_sort(struct table *of)
{
    const int64_t *times = (const int64_t *)of->columns[TIME_COLUMN].data;
    const int32_t *parts = of->part_column ? (const int32_t *)of->columns[of->part_column].data : NULL;
    int64_t *order, runs;
    int failed;

    if (of->rows < 2)
        return 0;
    order = malloc((size_t)of->rows * sizeof *order);
    if (!order)
        return NO_MEMORY;
    runs = time_order(times, parts, of->rows, order);
    failed = runs < 0 || (runs > 1 && reorder(of, order));
    free(order);
    return failed ? NO_MEMORY : 0;
}

void table_drop(struct table *of, int64_t rows)
{
    if (rows <= 0)
        return;
    if (rows > of->rows)
        rows = of->rows;
    for (int32_t place = 0; place < of->column_count; place++) {
        struct column *column = &of->columns[place];

        memmove(column->data, column->data + rows * column->width, (size_t)((of->rows - rows) * column->width));
    }
    of->rows -= rows;
}

int64_t table_before(const struct table *of, int64_t time)
{
    const int64_t *times = (const int64_t *)of->columns[TIME_COLUMN].data;
    int64_t low = 0, high = of->rows;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;

        if (times[middle] < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void table_free(struct table *of)
{
    for (int32_t place = 0; place < of->column_count; place++)
        free(of->columns[place].data);
}
