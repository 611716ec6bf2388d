/* Walks over the records of a buffer. */
#include "bytes.h"
#include "decoder.h"
#include "native.h"

/* Record types of the kernel (include/uapi/linux/perf_event.h), and of perf (tools/lib/perf/include/perf/event.h). */
#define PERF_RECORD_LOST 2
#define PERF_RECORD_SAMPLE 9
#define PERF_RECORD_LOST_SAMPLES 13
#define PERF_RECORD_HEADER_TRACING_DATA 66
#define PERF_RECORD_AUXTRACE 71
#define KNOWN_TYPES 87              /* those of perf end before this one */
#define SIMPLEPERF_TYPE_START 32768 /* simpleperf's own, whose size has 32 bits: the upper 16 are in place of misc */
#define MAX_RECORD 65535
#define HEADER_BYTES 8 /* u32 type, u16 misc, u16 size */

/* The sum, or INT64_MAX where it is more than that. */
static int64_t saturated_sum(int64_t sum, uint64_t count)
{
    return count > (uint64_t)(INT64_MAX - sum) ? INT64_MAX : sum + (int64_t)count;
}

/* LOST is {id, lost}, LOST_SAMPLES {lost}. */
static void count_losses(struct decoder *decoder, uint32_t type, const uint8_t *record, int64_t size)
{
    struct counts *counts = &decoder->counts;
    const uint8_t *body = record + HEADER_BYTES;

    if (type == PERF_RECORD_LOST && size >= HEADER_BYTES + 16)
        counts->lost = saturated_sum(counts->lost, load64(body + 8, decoder->swap));
    if (type == PERF_RECORD_LOST_SAMPLES && size >= HEADER_BYTES + 8)
        counts->lost_samples = saturated_sum(counts->lost_samples, load64(body, decoder->swap));
}

static void count_sample(struct decoder *decoder, int64_t time)
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

/* The bytes of a record; 0 where the walk ends before it, and `counts.stop_reason` is then the reason. */
static int64_t record_size(struct decoder *decoder, const uint8_t *record, int64_t left)
{
    uint32_t type = load32(record, decoder->swap);
    int64_t size = load16(record + 6, decoder->swap);

    if (type >= SIMPLEPERF_TYPE_START)
        size |= (int64_t)load16(record + 4, decoder->swap) << 16;
    if (size < HEADER_BYTES)
        decoder->counts.stop_reason = BROKEN;
    else if (type == PERF_RECORD_AUXTRACE || type == PERF_RECORD_HEADER_TRACING_DATA || size % 8 ||
             size > MAX_RECORD)
        decoder->counts.stop_reason = SKIP;
    else if (size > left)
        decoder->counts.stop_reason = CUT;
    else
        return size;
    return 0;
}

/* Take the records of `bytes[0, size)`, after which PADDING bytes may be read. Return how many bytes were taken; where
 * they are not all, `counts.stop_reason` is the reason. */
int64_t decoder_take(struct decoder *decoder, const uint8_t *bytes, int64_t size)
{
    int64_t taken = 0;

    decoder->counts.stop_reason = AT_END;
    decoder->counts.earliest = NEVER;
    decoder->counts.lacking_format = -1;
    while (taken + HEADER_BYTES <= size && !decoder->counts.out_of_memory) {
        const uint8_t *record = bytes + taken;
        uint32_t type = load32(record, decoder->swap);
        int64_t length = record_size(decoder, record, size - taken);

        decoder->counts.unknown +=
            type >= KNOWN_TYPES && (length || decoder->counts.stop_reason == SKIP); /* a skipped one is not met again */
        if (!length)
            break;
        if (type == PERF_RECORD_SAMPLE) {
            count_sample(decoder, (int64_t)load64(record + decoder->time_offset, decoder->swap));
            if (!decoder->counts_only)
                decode_sample(decoder, record, length);
        } else {
            count_losses(decoder, type, record, length);
        }
        taken += length;
    }
    if (decoder->counts.stop_reason == AT_END && taken < size)
        decoder->counts.stop_reason = CUT;
    return taken;
}
