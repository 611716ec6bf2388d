/* Samples to rows of tables, as a recording's own header and formats say. Python fills it in (`compiled.py`), then gives
 * it one buffer of records after the other. */
#ifndef HARNESS_DECODER_H
#define HARNESS_DECODER_H

#include <stdint.h>

#include "string_table.h"
#include "tables.h"

#define MAX_TABLES 8
#define MAX_SOURCES 12
#define COMMON_TYPES 65536          /* common_type has 16 bits */
#define PADDING 256          /* readable bytes behind every buffer */
#define FARTHEST_FIXED 128   /* the fixed part of a sample is shorter than that */
#define NO_TABLE (-1)        /* events that are counted only */
#define REFUSED_TABLE (-2)   /* events whose format lacks a field that is needed */
#define NEVER INT64_MAX

/* What a column is made of. */
enum encoding { INTEGER, TRUTH, TASK_NAME, LOCATED_TASK_NAME, LOCATED_TEXT, CONSTANT, PREV_STATE };

struct column_source {
    enum encoding encoding;
    int32_t column;
    int32_t offset, size, is_signed; /* of the field in the raw data; of a CONSTANT its value is `offset` */
    int32_t copied;                  /* whether the column is nothing but the first bytes of the field */
};

struct format {
    int32_t kind, end, table; /* common_type; bytes of raw data that hold every fixed field; where the rows go */
    int32_t source_count;
    struct column_source sources[MAX_SOURCES];
    int64_t samples;
};

/* How the samples of one event are laid out: byte offsets, -1 for what is not there. */
struct layout {
    int32_t group; /* the first event that is laid out alike; -1: no tracepoint */
    int32_t time, cpu, tail;
    int32_t has_read, read_base, read_each, has_callchain; /* READ takes base + each * members words */
    int64_t non_tracepoint; /* samples that are not of a tracepoint */
};

/* Why a walk over a buffer ended; see `BufferSink.take` in perf_data/records.py. */
enum stopped { WHOLE, CUT, SKIP, BROKEN };

struct counts {
    int64_t samples, inversions, bad;
    int64_t has_times, first, last;       /* ns */
    int64_t earliest;                     /* ns, in the last buffer; NEVER: it had no samples */
    int64_t lost, lost_samples, stopped, refused, failed; /* refused: place of a format, or -1 */
};

struct decoder {
    int32_t swap, counts_only, part;
    int64_t time_offset, id_offset; /* id_offset -1: all samples are of the first event */
    uint64_t *ids;                  /* rising, and the event of each */
    int32_t *events_by_id;
    int64_t id_count;
    struct layout *layouts;
    int32_t layout_count;
    struct format *formats;
    int32_t format_count;
    int32_t by_common_type[COMMON_TYPES]; /* place of a format + 1, or 0 */
    struct table tables[MAX_TABLES];
    struct string_table names, states;
    int64_t previous; /* time of the sample before */
    int32_t has_previous;
    int64_t refused_rank;
    struct counts counts;
};

/* sample.c: take one sample record of `size` bytes, all of them readable, and PADDING behind its buffer. */
void take_sample(struct decoder *decoder, const uint8_t *record, int64_t size);

#endif
