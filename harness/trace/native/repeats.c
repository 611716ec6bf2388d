/* Recognises samples that repeat an event.
 *
 * The kernel hands one event to all attrs that record it, one after the other, so their samples follow each other in
 * the buffer of their CPU, with the same raw data but times that differ by the time this takes. A sample is a repeat if
 * another attr recorded the same data last, and its own attr did not yet: an attr records each event once, so two equal
 * events in a row stay two. */
#include "repeats.h"

/* FNV-1a, 64 bits */
static uint64_t checksum_of(const uint8_t *data, int64_t size)
{
    uint64_t checksum = 0xcbf29ce484222325;

    for (int64_t index = 0; index < size; index++)
        checksum = (checksum ^ data[index]) * 0x100000001b3;
    return checksum;
}

int is_repeat(struct last_event *last, const uint8_t *data, int64_t size, uint64_t attr)
{
    uint64_t checksum = checksum_of(data, size);

    if (last->attrs && last->checksum == checksum && !(last->attrs & attr)) {
        last->attrs |= attr;
        return 1;
    }
    *last = (struct last_event){checksum, attr};
    return 0;
}
