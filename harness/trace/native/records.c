/* Walks over the records of a buffer. */
#include "bytes.h"
#include "decoder.h"
#include "native.h"

/* Types of include/uapi/linux/perf_event.h, and of perf's own. */
#define LOST 2
#define SAMPLE 9
#define LOST_SAMPLES 13
#define TRACING_DATA 66
#define AUXTRACE 71
#define HEADER 8 /* bytes: u32 type, u16 misc, u16 size */

/* The sum, or the largest number where it is more than that. */
static int64_t added(int64_t sum, uint64_t more)
{
    return more > (uint64_t)(INT64_MAX - sum) ? INT64_MAX : sum + (int64_t)more;
}

/* LOST is {id, lost}, LOST_SAMPLES {lost}. */
static void take_losses(struct decoder *of, uint32_t kind, const uint8_t *record, int64_t size)
{
    if (kind == LOST && size >= HEADER + 16)
        of->counted.lost = added(of->counted.lost, load64(record + HEADER + 8, of->swap));
    if (kind == LOST_SAMPLES && size >= HEADER + 8)
        of->counted.lost_samples = added(of->counted.lost_samples, load64(record + HEADER, of->swap));
}

static void take_time(struct decoder *of, int64_t time)
{
    struct counted *counted = &of->counted;

    counted->samples++;
    counted->inversions += of->has_previous && time < of->previous;
    of->previous = time;
    of->has_previous = 1;
    if (!counted->has_times || time < counted->first)
        counted->first = time;
    if (!counted->has_times || time > counted->last)
        counted->last = time;
    counted->has_times = 1;
    if (time < counted->earliest)
        counted->earliest = time;
}

/* The bytes a record takes; 0 where the walk ends before it, and why is noted. */
static int64_t record_size(struct decoder *of, const uint8_t *record, int64_t left)
{
    uint32_t kind = load32(record, of->swap);
    int64_t size = load16(record + 6, of->swap);

    if (size < HEADER)
        of->counted.stopped = BROKEN;
    else if (kind == AUXTRACE || kind == TRACING_DATA || size % 8)
        of->counted.stopped = APART;
    else if (size > left)
        of->counted.stopped = CUT;
    else
        return size;
    return 0;
}

/* Take the records of `bytes[0, size)`, behind which PADDING bytes more can be read. How far the walk came: where it
 * ended before the end, `counted.stopped` says why. */
int64_t decoder_take(struct decoder *of, const uint8_t *bytes, int64_t size)
{
    int64_t at = 0, step;

    of->counted.stopped = WHOLE;
    of->counted.earliest = NEVER;
    of->counted.refused = -1;
    while (at + HEADER <= size && !of->counted.failed && (step = record_size(of, bytes + at, size - at))) {
        uint32_t kind = load32(bytes + at, of->swap);

        if (kind == SAMPLE) {
            take_time(of, (int64_t)load64(bytes + at + of->time_offset, of->swap));
            if (!of->counts_only)
                take_sample(of, bytes + at, step);
        } else {
            take_losses(of, kind, bytes + at, step);
        }
        at += step;
    }
    if (of->counted.stopped == WHOLE && at < size)
        of->counted.stopped = CUT;
    return at;
}
