/* Numbers tids from 0, in the order in which they are added. */
#ifndef HARNESS_TIDS_H
#define HARNESS_TIDS_H

#include <stdint.h>

#define NONE (-1)

struct tids {
    uint64_t seed; /* so that nobody can choose tids that collide */
    int32_t *tids;
    int64_t size, room; /* tids, and tids with memory */
    int32_t *slots;     /* a hash table: number of a tid + 1, or 0 */
    uint64_t mask;
};

/* NO_MEMORY where there is too little; `tids_free` is needed all the same. */
int tids_new(struct tids *tids, uint64_t seed);
void tids_free(struct tids *tids);
/* Return the number of a tid, which is added if it is not known; or NO_MEMORY. */
int64_t tid_add(struct tids *tids, int32_t tid);
void tids_clear(struct tids *tids);

static inline uint64_t tid_slot(const struct tids *tids, int32_t tid)
{
    uint64_t mixed = (uint32_t)tid ^ tids->seed;

    mixed = (mixed ^ mixed >> 33) * 0xff51afd7ed558ccdULL;
    mixed = (mixed ^ mixed >> 33) * 0xc4ceb9fe1a85ec53ULL;
    return (mixed ^ mixed >> 33) & tids->mask;
}

/* Return the number of a tid, or NONE. */
static inline int64_t tid_find(const struct tids *tids, int32_t tid)
{
    for (uint64_t slot = tid_slot(tids, tid); tids->slots[slot]; slot = (slot + 1) & tids->mask)
        if (tids->tids[tids->slots[slot] - 1] == tid)
            return tids->slots[slot] - 1;
    return NONE;
}

#endif
