/* Integers out of untrusted bytes, at any address and in either byte order. */
#ifndef HARNESS_BYTES_H
#define HARNESS_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t load16(const uint8_t *at, int swap)
{
    uint16_t value;

    memcpy(&value, at, sizeof value);
    return swap ? __builtin_bswap16(value) : value;
}

static inline uint32_t load32(const uint8_t *at, int swap)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return swap ? __builtin_bswap32(value) : value;
}

static inline uint64_t load64(const uint8_t *at, int swap)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return swap ? __builtin_bswap64(value) : value;
}

/* An integer of 1, 2, 4 or 8 bytes, extended by its sign or by zeros. */
static inline int64_t load_integer(const uint8_t *at, int size, int is_signed, int swap)
{
    switch (size) {
    case 1:
        return is_signed ? (int8_t)*at : *at;
    case 2:
        return is_signed ? (int16_t)load16(at, swap) : load16(at, swap);
    case 4:
        return is_signed ? (int32_t)load32(at, swap) : (int64_t)load32(at, swap);
    default:
        return (int64_t)load64(at, swap);
    }
}

#endif
