/* Sorts rows by time: a stable sort for rows that are nearly in order.
 *
 * A recording consists of ascending runs: the content of one CPU's buffer when perf emptied it. Neighbouring runs
 * overlap, distant ones hardly do. So runs are merged pairwise, bottom up, and each merge touches only the part where
 * its two sides overlap: nearly linear for a recording, and never worse than n log n. */
#include <stdlib.h>
#include <string.h>

#include "native.h"

struct sort {
    const int64_t *times;
    const int32_t *parts;  /* order rows of one time; NULL: there is one part */
    int32_t *order;        /* indices of rows; sorted piece by piece */
    int32_t *spare;        /* room for the left side of a merge */
    const int32_t *starts; /* where each run begins, and where the last one ends */
};

static inline int is_before(const struct sort *sort, int64_t row, int64_t other)
{
    if (sort->times[row] != sort->times[other] || !sort->parts)
        return sort->times[row] < sort->times[other];
    return sort->parts[row] < sort->parts[other];
}

/* How many of the `count` sorted rows at `rows` do not come after `other`. */
static int64_t not_after(const struct sort *sort, const int32_t *rows, int64_t count, int64_t other)
{
    int64_t low = 0, high = count;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;

        if (is_before(sort, other, rows[middle]))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* How many of the `count` sorted rows at `rows` come before `other`. */
static int64_t before(const struct sort *sort, const int32_t *rows, int64_t count, int64_t other)
{
    int64_t low = 0, high = count;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;

        if (is_before(sort, rows[middle], other))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Merge order[low, middle) with order[middle, high). */
static void merge(const struct sort *sort, int64_t low, int64_t middle, int64_t high)
{
    int32_t *order = sort->order, *left = sort->spare;
    int64_t lefts, merged = 0;

    low += not_after(sort, order + low, middle - low, order[middle]);
    lefts = middle - low;
    if (!lefts)
        return;
    high = middle + before(sort, order + middle, high - middle, order[middle - 1]);
    memcpy(left, order + low, (size_t)lefts * sizeof *left);
    while (merged < lefts && middle < high)
        order[low++] = is_before(sort, order[middle], left[merged]) ? order[middle++] : left[merged++];
    memcpy(order + low, left + merged, (size_t)(lefts - merged) * sizeof *left);
}

static void sort_runs(const struct sort *sort, int64_t first, int64_t stop)
{
    int64_t middle = first + (stop - first) / 2;

    if (stop - first < 2)
        return;
    sort_runs(sort, first, middle);
    sort_runs(sort, middle, stop);
    merge(sort, sort->starts[first], sort->starts[middle], sort->starts[stop]);
}

static int64_t count_runs(const struct sort *sort, int64_t rows)
{
    int64_t runs = rows > 0;

    for (int64_t row = 1; row < rows; row++)
        runs += is_before(sort, row, row - 1);
    return runs;
}

static void find_runs(const struct sort *sort, int32_t rows, int32_t *starts)
{
    int64_t run = 0;

    starts[run++] = 0;
    for (int32_t row = 1; row < rows; row++)
        if (is_before(sort, row, row - 1))
            starts[run++] = row;
    starts[run] = rows;
}

/* Write the indices of `rows` rows to `order`, sorted by time, then by part (NULL: there is one part). Rows equal in
 * both keep their order. `spare` has room for as many.
 *
 * Return the number of ascending runs, or NO_MEMORY. With 0 or 1 run the rows are in order, and `order` is not set. */
int64_t sort_by_time(const int64_t *times, const int32_t *parts, int32_t rows, int32_t *order, int32_t *spare)
{
    struct sort sort = {times, parts, order, spare, NULL};
    int64_t runs = count_runs(&sort, rows);
    int32_t *starts;

    if (runs < 2)
        return runs;
    sort.starts = starts = malloc((size_t)(runs + 1) * sizeof *starts);
    if (!starts)
        return NO_MEMORY;
    find_runs(&sort, rows, starts);
    for (int32_t row = 0; row < rows; row++)
        order[row] = row;
    sort_runs(&sort, 0, runs);
    free(starts);
    return runs;
}
