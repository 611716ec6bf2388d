/* Numbers byte strings from 0, in the order in which they are first seen. */
#ifndef HARNESS_STRING_TABLE_H
#define HARNESS_STRING_TABLE_H

#include <stdint.h>
#include <string.h>

#define NAME_BYTES 16 /* a task name as the kernel keeps it */
#define RECENT 1024

/* The 16 bytes of a task name, as two words that include what follows its NUL, and its number + 1; 0: no name. */
struct recent_name {
    uint64_t low, high;
    int32_t number_plus_one;
};

struct string_table {
    uint8_t *bytes; /* all strings, one after the other */
    int64_t *ends;  /* the end of each in `bytes` */
    int64_t used, room;      /* bytes in use, and bytes with memory */
    int32_t count, capacity; /* strings, and strings with memory */
    int32_t *slots; /* open addressing: number + 1, or 0; their count is a power of two, and at most half are used */
    int64_t slot_count;
    uint64_t seed; /* so that nobody can write a file whose names all hash to one slot */
    struct recent_name recent[RECENT];
};

/* Return the number of a string; NO_MEMORY where there is no room for a new one. */
int32_t string_number(struct string_table *table, const uint8_t *bytes, int64_t length);
/* Return the number of a task name of 16 bytes, which ends at its first NUL. Always searches the hash table. */
int32_t find_task_name_number(struct string_table *table, const uint8_t *bytes);
void string_table_free(struct string_table *table);

/* The entry for a task name among the recent ones: a few tasks alternate, so nearly every name is there. */
static inline struct recent_name *recent_entry(struct string_table *table, const uint8_t *bytes, uint64_t *low,
                                               uint64_t *high)
{
    memcpy(low, bytes, 8);
    memcpy(high, bytes + 8, 8);
    return &table->recent[(*low * 0x9E3779B97F4A7C15u ^ *high * 0xC2B2AE3D27D4EB4Fu) >> 54];
}

/* Return the number of a task name. Checks the recent names first. */
static inline int32_t task_name_number(struct string_table *table, const uint8_t *bytes)
{
    uint64_t low, high;
    const struct recent_name *entry = recent_entry(table, bytes, &low, &high);

    if (entry->low == low && entry->high == high && entry->number_plus_one)
        return entry->number_plus_one - 1;
    return find_task_name_number(table, bytes);
}

#endif
