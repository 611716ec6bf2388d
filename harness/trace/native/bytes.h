/* Loads integers from bytes at any address, in either byte order. */
#ifndef HARNESS_BYTES_H
#define HARNESS_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t load16(const uint8_t *bytes, int swap)
{
    uint16_t value;

    memcpy(&value, bytes, sizeof value);
    return swap ? __builtin_bswap16(value) : value;
}

static inline uint32_t load32(const uint8_t *bytes, int swap)
{
    uint32_t value;

    memcpy(&value, bytes, sizeof value);
    return swap ? __builtin_bswap32(value) : value;
}

static inline uint64_t load64(const uint8_t *bytes, int swap)
{
    uint64_t value;

    memcpy(&value, bytes, sizeof value);
    return swap ? __builtin_bswap64(value) : value;
}

/* Load an integer of 1, 2, 4 or 8 bytes, extended by its sign or by zeros. */
static inline int64_t load_integer(const uint8_t *bytes, int size, int is_signed, int swap)
{
    switch (size) {
    case 1:
        return is_signed ? (int8_t)*bytes : *bytes;
    case 2:
        return is_signed ? (int16_t)load16(bytes, swap) : load16(bytes, swap);
    case 4:
        return is_signed ? (int32_t)load32(bytes, swap) : (int64_t)load32(bytes, swap);
    default:
        return (int64_t)load64(bytes, swap);
    }
}

#endif
