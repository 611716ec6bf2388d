/* Byte strings and the numbers they are given, counted up from 0 in the order in which they are first met. */
#ifndef HARNESS_STRING_TABLE_H
#define HARNESS_STRING_TABLE_H

#include <stdint.h>
#include <string.h>

#define NAME_BYTES 16 /* a task name as the kernel keeps it */
#define REMEMBERED 1024

/* A task name as two words, with what may stand behind its NUL, and its number + 1; 0 where there is none. */
struct remembered {
    uint64_t low, high;
    int32_t marked;
};

struct string_table {
    uint8_t *bytes; /* all strings, one behind the other */
    int64_t *ends;  /* where each ends there */
    int64_t used, room;
    int32_t count, capacity;
    int32_t *slots; /* open addressing: number + 1, or 0; a power of two of them, at most half full */
    int64_t slot_count;
    uint64_t seed; /* so that no file can be made whose names all meet in one slot */
    struct remembered recent[REMEMBERED];
};

/* The number of a string; NO_MEMORY where there is no room for a new one. */
int32_t string_number(struct string_table *table, const uint8_t *bytes, int64_t length);
/* The same for 16 bytes that hold a name and a NUL, or 16 bytes of name. */
int32_t new_task_name_number(struct string_table *table, const uint8_t *bytes);
void string_table_free(struct string_table *table);

/* Where a task name is kept at hand: tasks switch to and fro, so nearly every name is one of the last few. */
static inline struct remembered *remembered_at(struct string_table *table, const uint8_t *bytes, uint64_t *low, uint64_t *high)
{
    memcpy(low, bytes, 8);
    memcpy(high, bytes + 8, 8);
    return &table->recent[(*low * 0x9E3779B97F4A7C15u ^ *high * 0xC2B2AE3D27D4EB4Fu) >> 54];
}

static inline int32_t task_name_number(struct string_table *table, const uint8_t *bytes)
{
    uint64_t low, high;
    const struct remembered *place = remembered_at(table, bytes, &low, &high);

    if (place->low == low && place->high == high && place->marked)
        return place->marked - 1;
    return new_task_name_number(table, bytes);
}

#endif
