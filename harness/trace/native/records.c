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
static void take_losses(struct decoder *decoder, uint32_t kind, const uint8_t *record, int64_t size)
{
    if (kind == LOST && size >= HEADER + 16)
        decoder->counts.lost = added(decoder->counts.lost, load64(record + HEADER + 8, decoder->swap));
    if (kind == LOST_SAMPLES && size >= HEADER + 8)
        decoder->counts.lost_samples = added(decoder->counts.lost_samples, load64(record + HEADER, decoder->swap));
}

static void take_time(struct decoder *decoder, int64_t time)
{
    struct counts *counts = &decoder->counts;

    counts->samples++;
    counts->inversions += decoder->has_previous && time < decoder->previous;
    decoder->previous = time;
    decoder->has_previous = 1;
    if (!counts->has_times || time < counts->first)
        counts->first = time;
    if (!counts->has_times || time > counts->last)
        counts->last = time;
    counts->has_times = 1;
    if (time < counts->earliest)
        counts->earliest = time;
}

/* The bytes a record takes; 0 where the walk ends before it, and why is noted. */
static int64_t record_size(struct decoder *decoder, const uint8_t *record, int64_t left)
{
    uint32_t kind = load32(record, decoder->swap);
    int64_t size = load16(record + 6, decoder->swap);

    if (size < HEADER)
        decoder->counts.stopped = BROKEN;
    else if (kind == AUXTRACE || kind == TRACING_DATA || size % 8)
        decoder->counts.stopped = SKIP;
    else if (size > left)
        decoder->counts.stopped = CUT;
    else
        return size;
    return 0;
}

/* Take the records of `bytes[0, size)`, behind which PADDING bytes more can be read. How far the walk came: where it
 * ended before the end, `counted.stopped` says why. */
int64_t decoder_take(struct decoder *decoder, const uint8_t *bytes, int64_t size)
{
    int64_t at = 0, step;

    decoder->counts.stopped = WHOLE;
    decoder->counts.earliest = NEVER;
    decoder->counts.refused = -1;
    while (at + HEADER <= size && !decoder->counts.failed && (step = record_size(decoder, bytes + at, size - at))) {
        uint32_t kind = load32(bytes + at, decoder->swap);

        if (kind == SAMPLE) {
            take_time(decoder, (int64_t)load64(bytes + at + decoder->time_offset, decoder->swap));
            if (!decoder->counts_only)
                take_sample(decoder, bytes + at, step);
        } else {
            take_losses(decoder, kind, bytes + at, step);
        }
        at += step;
    }
    if (decoder->counts.stopped == WHOLE && at < size)
        decoder->counts.stopped = CUT;
    return at;
}
