/* Decodes samples into rows of tables, as the recording's own header and formats describe them. Python configures a
 * decoder (decode/native_decoder.py), then passes it one buffer of records after the other. */
#ifndef HARNESS_DECODER_H
#define HARNESS_DECODER_H

#include <stdint.h>

#include "repeats.h"
#include "string_table.h"
#include "tables.h"

#define MAX_TABLES 8
#define MAX_SOURCES 12
#define COMMON_TYPES 65536 /* common_type has 16 bits */
#define PADDING 256        /* bytes after every buffer that may be read */
#define MAX_FIXED_END 128  /* the parts of a sample with a fixed offset end before this byte */
#define NO_TABLE (-1)      /* table of events that are only counted */
#define LACKS_FIELD (-2)   /* table of events whose format lacks a field that is needed */
#define NEVER INT64_MAX

/* The encoding of the field that a column is read from. */
enum encoding { INTEGER, TRUTH, TASK_NAME, LOCATED_TASK_NAME, LOCATED_TEXT, CONSTANT, PREV_STATE };

struct column_source {
    enum encoding encoding;
    int32_t column;
    int32_t offset, size, is_signed; /* of the field in the raw data; a CONSTANT has its value in `offset` */
    int32_t is_copied;               /* whether the column is a plain copy of the field's first bytes */
};

struct format {
    int32_t common_type;
    int32_t end;   /* bytes of raw data that hold every fixed field */
    int32_t table; /* where the rows go */
    int32_t source_count;
    struct column_source sources[MAX_SOURCES];
    int64_t samples;
    struct last_event *last; /* in each buffer; NULL: one attr records this event */
};

/* How the samples of one attr are laid out: byte offsets, -1 for a part that is missing. */
struct sample_layout {
    int32_t group; /* the first attr with the same layout; -1: this is no tracepoint */
    int32_t time, cpu, tail;
    int32_t has_read, read_base, read_each, has_callchain; /* READ has read_base + read_each * members words */
    int64_t non_tracepoint;                                /* samples, if this is no tracepoint */
    uint64_t repeat_bit;                                   /* among the attrs of the same tracepoint */
};

/* Why the walk over a buffer ended; see BufferSink.take in perf_data/records.py. */
enum stop_reason { AT_END, CUT, SKIP, BROKEN };

struct counts {
    int64_t samples, inversions, bad;
    int64_t has_times, first, last; /* ns */
    int64_t earliest;               /* ns, in the last buffer; NEVER: it had no samples */
    int64_t lost, lost_samples;     /* by LOST and by LOST_SAMPLES records */
    int64_t stop_reason;
    int64_t lacking_format; /* index of a format that lacks a field and has a sample in the last buffer, or -1 */
    int64_t out_of_memory;  /* whether there was too little */
    int64_t unknown;        /* records of types that neither the kernel nor perf has */
    int64_t repeats;        /* samples of events that another attr recorded, too */
};

struct decoder {
    int32_t swap, counts_only, part;
    int64_t time_offset, id_offset; /* id_offset -1: all samples are of the first attr */
    uint64_t *ids;                  /* in ascending order */
    int32_t *attrs;                 /* of each id */
    int32_t *buffers;               /* of each id: its place among the ids of its attr */
    int64_t id_count, buffer_count;
    struct sample_layout *layouts;
    int32_t layout_count;
    struct format *formats;
    int32_t format_count;
    int32_t by_common_type[COMMON_TYPES]; /* index of a format + 1, or 0 */
    struct table tables[MAX_TABLES];
    struct string_table names, states;
    int64_t previous; /* time of the sample before, in ns */
    int32_t has_previous;
    int64_t lacking_rank;
    struct counts counts;
};

/* sample.c: decode a sample record of `size` bytes, after which PADDING bytes may be read. */
void decode_sample(struct decoder *decoder, const uint8_t *record, int64_t size);

#endif
