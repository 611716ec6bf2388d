/* A hash table of byte strings. */
#define _DEFAULT_SOURCE /* getentropy */
#include "string_table.h"

#include <stdlib.h>
#include <unistd.h>

#include "native.h"

/* Two products, so that no change of the input changes certain bits only: a forged file could make use of that. */
static uint64_t mixed(uint64_t value)
{
    value = (value ^ value >> 33) * 0xFF51AFD7ED558CCDu;
    value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53u;
    return value ^ value >> 33;
}

static uint64_t hash(const struct string_table *table, const uint8_t *bytes, int64_t length)
{
    uint64_t value = mixed(table->seed ^ (uint64_t)length), word;

    for (; length >= 8; bytes += 8, length -= 8) {
        memcpy(&word, bytes, 8);
        value = mixed(value ^ word);
    }
    word = 0;
    memcpy(&word, bytes, (size_t)length);
    return mixed(value ^ word);
}

static int64_t start_of(const struct string_table *table, int32_t number)
{
    return number ? table->ends[number - 1] : 0;
}

static int is_same(const struct string_table *table, int32_t number, const uint8_t *bytes, int64_t length)
{
    int64_t start = start_of(table, number);

    return table->ends[number] - start == length && !memcmp(table->bytes + start, bytes, (size_t)length);
}

/* The slot of a string, or the free slot where it would be stored. */
static int64_t slot_of(const struct string_table *table, const uint8_t *bytes, int64_t length)
{
    int64_t slot = (int64_t)(hash(table, bytes, length) & (uint64_t)(table->slot_count - 1));

    while (table->slots[slot] && !is_same(table, table->slots[slot] - 1, bytes, length))
        slot = (slot + 1) & (table->slot_count - 1);
    return slot;
}

static int more_slots(struct string_table *table)
{
    int64_t slot_count = table->slot_count ? 2 * table->slot_count : 256;
    int32_t *slots = calloc((size_t)slot_count, sizeof *slots);

    if (!slots)
        return NO_MEMORY;
    if (!table->seed && getentropy(&table->seed, sizeof table->seed))
        table->seed = (uint64_t)(uintptr_t)slots;
    table->seed |= 1;
    free(table->slots);
    table->slots = slots;
    table->slot_count = slot_count;
    for (int32_t number = 0; number < table->count; number++) {
        int64_t start = start_of(table, number);

        slots[slot_of(table, table->bytes + start, table->ends[number] - start)] = number + 1;
    }
    return 0;
}

/* Make room for one more string of `length` bytes. */
static int make_room(struct string_table *table, int64_t length)
{
    if (table->count == table->capacity) {
        int32_t capacity = !table->capacity ? 256 : table->capacity < 1 << 30 ? 2 * table->capacity : 0;
        int64_t *ends = capacity > 0 ? realloc(table->ends, (size_t)capacity * sizeof *ends) : NULL;

        if (!ends)
            return NO_MEMORY;
        table->ends = ends;
        table->capacity = capacity;
    }
    if (table->used + length >= table->room) {
        int64_t room = 2 * table->room + length + 4096;
        uint8_t *bytes = realloc(table->bytes, (size_t)room);

        if (!bytes)
            return NO_MEMORY;
        table->bytes = bytes;
        table->room = room;
    }
    return 0;
}

int32_t string_number(struct string_table *table, const uint8_t *bytes, int64_t length)
{
    int64_t slot;

    if (2 * (int64_t)table->count >= table->slot_count && more_slots(table))
        return NO_MEMORY;
    slot = slot_of(table, bytes, length);
    if (table->slots[slot])
        return table->slots[slot] - 1;
    if (table->count == INT32_MAX - 1 || make_room(table, length))
        return NO_MEMORY;
    memcpy(table->bytes + table->used, bytes, (size_t)length);
    table->used += length;
    table->ends[table->count] = table->used;
    table->slots[slot] = table->count + 1;
    return table->count++;
}

int32_t find_task_name_number(struct string_table *table, const uint8_t *bytes)
{
    const uint8_t *nul = memchr(bytes, 0, NAME_BYTES);
    int32_t number = string_number(table, bytes, nul ? nul - bytes : NAME_BYTES);
    uint64_t low, high;
    struct recent_name *entry = recent_entry(table, bytes, &low, &high);

    if (number >= 0)
        *entry = (struct recent_name){low, high, number + 1};
    return number;
}

void string_table_free(struct string_table *table)
{
    free(table->bytes);
    free(table->ends);
    free(table->slots);
}
