/* Finds for each row the row before it that has the same key. */
#include <stdlib.h>

#include "native.h"
#include "tids.h"

/* The keys seen so far, and the last row of each. */
struct groups {
    struct tids keys;
    int64_t *last;
    int64_t room; /* keys with memory in `last` */
};

/* Return the group of a key; -1 where there is too little memory. A new group has the last row -1. */
static int64_t group_of(struct groups *groups, int32_t key)
{
    int64_t known = groups->keys.size, group = tid_add(&groups->keys, key);

    if (group < known)
        return group;
    if (group == groups->room) {
        int64_t *last = realloc(groups->last, (size_t)groups->keys.room * sizeof *last);

        if (!last)
            return NO_MEMORY;
        groups->last = last;
        groups->room = groups->keys.room;
    }
    groups->last[group] = -1;
    return group;
}

/* Write for each row the last row before it with the same key, or -1. Return 0 or NO_MEMORY. `seed` is a number that
 * the recording's author could not know. */
int previous_in_group(const int32_t *keys, int64_t rows, uint64_t seed, int64_t *previous)
{
    struct groups groups = {.last = NULL};
    int failed = tids_new(&groups.keys, seed);

    for (int64_t row = 0; row < rows && !failed; row++) {
        int64_t group = group_of(&groups, keys[row]);

        failed = group < 0 ? NO_MEMORY : 0;
        if (failed)
            break;
        previous[row] = groups.last[group];
        groups.last[group] = row;
    }
    tids_free(&groups.keys);
    free(groups.last);
    return failed;
}
