/* A hash table of byte strings. */
#define _DEFAULT_SOURCE /* getentropy */
#include "names.h"

#include <stdlib.h>
#include <unistd.h>

#include "native.h"

/* Two products, so that no change of the input is sure to change certain bits alone: a file could make use of that. */
static uint64_t mixed(uint64_t value)
{
    value = (value ^ value >> 33) * 0xFF51AFD7ED558CCDu;
    value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53u;
    return value ^ value >> 33;
}

static uint64_t hash(const struct names *of, const uint8_t *bytes, int64_t length)
{
    uint64_t value = mixed(of->seed ^ (uint64_t)length), word;

    for (; length >= 8; bytes += 8, length -= 8) {
        memcpy(&word, bytes, 8);
        value = mixed(value ^ word);
    }
    word = 0;
    memcpy(&word, bytes, (size_t)length);
    return mixed(value ^ word);
}

static int64_t start_of(const struct names *of, int32_t number)
{
    return number ? of->ends[number - 1] : 0;
}

static int is_same(const struct names *of, int32_t number, const uint8_t *bytes, int64_t length)
{
    int64_t start = start_of(of, number);

    return of->ends[number] - start == length && !memcmp(of->bytes + start, bytes, (size_t)length);
}

/* The slot of a string: its own, or the free one where it belongs. */
static int64_t slot_of(const struct names *of, const uint8_t *bytes, int64_t length)
{
    int64_t slot = (int64_t)(hash(of, bytes, length) & (uint64_t)(of->slot_count - 1));

    while (of->slots[slot] && !is_same(of, of->slots[slot] - 1, bytes, length))
        slot = (slot + 1) & (of->slot_count - 1);
    return slot;
}

static int more_slots(struct names *of)
{
    int64_t wanted = of->slot_count ? 2 * of->slot_count : 256;
    int32_t *slots = calloc((size_t)wanted, sizeof *slots);

    if (!slots)
        return NO_MEMORY;
    if (!of->seed && getentropy(&of->seed, sizeof of->seed))
        of->seed = (uint64_t)(uintptr_t)slots;
    of->seed |= 1;
    free(of->slots);
    of->slots = slots;
    of->slot_count = wanted;
    for (int32_t number = 0; number < of->count; number++) {
        int64_t start = start_of(of, number);

        slots[slot_of(of, of->bytes + start, of->ends[number] - start)] = number + 1;
    }
    return 0;
}

/* Room for one more string of `length` bytes. */
static int make_room(struct names *of, int64_t length)
{
    if (of->count == of->capacity) {
        int32_t capacity = !of->capacity ? 256 : of->capacity < 1 << 30 ? 2 * of->capacity : 0;
        int64_t *ends = capacity > 0 ? realloc(of->ends, (size_t)capacity * sizeof *ends) : NULL;

        if (!ends)
            return NO_MEMORY;
        of->ends = ends;
        of->capacity = capacity;
    }
    if (of->used + length >= of->room) {
        int64_t room = 2 * of->room + length + 4096;
        uint8_t *bytes = realloc(of->bytes, (size_t)room);

        if (!bytes)
            return NO_MEMORY;
        of->bytes = bytes;
        of->room = room;
    }
    return 0;
}

int32_t name_number(struct names *of, const uint8_t *bytes, int64_t length)
{
    int64_t slot;

    if (2 * (int64_t)of->count >= of->slot_count && more_slots(of))
        return NO_MEMORY;
    slot = slot_of(of, bytes, length);
    if (of->slots[slot])
        return of->slots[slot] - 1;
    if (of->count == INT32_MAX - 1 || make_room(of, length))
        return NO_MEMORY;
    memcpy(of->bytes + of->used, bytes, (size_t)length);
    of->used += length;
    of->ends[of->count] = of->used;
    of->slots[slot] = of->count + 1;
    return of->count++;
}

int32_t new_task_name_number(struct names *of, const uint8_t *bytes)
{
    const uint8_t *nul = memchr(bytes, 0, NAME_BYTES);
    int32_t number = name_number(of, bytes, nul ? nul - bytes : NAME_BYTES);
    uint64_t low, high;
    struct remembered *place = remembered_at(of, bytes, &low, &high);

    if (number >= 0)
        *place = (struct remembered){low, high, number + 1};
    return number;
}

void names_free(struct names *of)
{
    free(of->bytes);
    free(of->ends);
    free(of->slots);
}
