/* A hash table of tids. */
#include "tids.h"

#include <stdlib.h>
#include <string.h>

#include "native.h"

#define FIRST_ROOM 256 /* a power of two */

static void add_slot(struct tids *tids, int64_t number)
{
    uint64_t slot = tid_slot(tids, tids->tids[number]);

    while (tids->slots[slot])
        slot = (slot + 1) & tids->mask;
    tids->slots[slot] = (int32_t)number + 1;
}

/* Make room for `room` tids, a power of two; there are twice as many slots. */
static int make_room(struct tids *tids, int64_t room)
{
    int32_t *larger = realloc(tids->tids, (size_t)room * sizeof *larger), *slots;

    if (!larger)
        return NO_MEMORY;
    tids->tids = larger;
    slots = calloc((size_t)room * 2, sizeof *slots);
    if (!slots)
        return NO_MEMORY;
    free(tids->slots);
    tids->slots = slots;
    tids->room = room;
    tids->mask = (uint64_t)room * 2 - 1;
    for (int64_t number = 0; number < tids->size; number++)
        add_slot(tids, number);
    return 0;
}

int tids_new(struct tids *tids, uint64_t seed)
{
    *tids = (struct tids){.seed = seed};
    return make_room(tids, FIRST_ROOM);
}

void tids_free(struct tids *tids)
{
    free(tids->tids);
    free(tids->slots);
}

int64_t tid_add(struct tids *tids, int32_t tid)
{
    int64_t number = tid_find(tids, tid);

    if (number != NONE)
        return number;
    if (tids->size == tids->room && (tids->room > INT32_MAX / 4 || make_room(tids, tids->room * 2)))
        return NO_MEMORY;
    tids->tids[tids->size] = tid;
    add_slot(tids, tids->size);
    return tids->size++;
}

void tids_clear(struct tids *tids)
{
    tids->size = 0;
    memset(tids->slots, 0, (size_t)(tids->mask + 1) * sizeof *tids->slots);
}
