/* Makes a decoder, adds to it what the recording's header describes, returns what it decoded, and frees it.
 *
 * Every number is checked as it is added: one that could make the decoder read or write outside its memory is answered
 * with REFUSED, and is not kept. */
#include "decoder.h"

#include <stdlib.h>

#include "native.h"

#define REFUSED (-2)
#define MAX_LAYOUTS 4096
#define MAX_FORMATS 65536

static int is_fixed(int64_t offset, int64_t size)
{
    return offset >= 0 && offset + size <= MAX_FIXED_END;
}

static int is_integer_size(int32_t size)
{
    return size == 1 || size == 2 || size == 4 || size == 8;
}

/* Grow the array `items` to `count` + 1 items of `size` bytes. NULL where there is no memory; `items` then stays. */
static void *grown(void *items, int32_t count, size_t size)
{
    return realloc(items, (size_t)(count + 1) * size);
}

struct decoder *decoder_new(int32_t swap, int64_t time_offset, int64_t id_offset)
{
    struct decoder *decoder;

    if (!is_fixed(time_offset, 8) || (id_offset != -1 && !is_fixed(id_offset, 8)))
        return NULL;
    decoder = calloc(1, sizeof *decoder);
    if (!decoder)
        return NULL;
    decoder->swap = swap;
    decoder->time_offset = time_offset;
    decoder->id_offset = id_offset;
    return decoder;
}

void decoder_free(struct decoder *decoder)
{
    if (!decoder)
        return;
    for (int32_t index = 0; index < MAX_TABLES; index++)
        table_free(&decoder->tables[index]);
    string_table_free(&decoder->names);
    string_table_free(&decoder->states);
    free(decoder->ids);
    free(decoder->attrs);
    free(decoder->buffers);
    for (int32_t index = 0; index < decoder->format_count; index++)
        free(decoder->formats[index].last);
    free(decoder->layouts);
    free(decoder->formats);
    free(decoder);
}

/* Add all ids, in ascending order, the attr that samples with each of them belong to, and its place among that attr's
 * ids: the recorder opens all attrs on the same buffers, in the same order. */
int decoder_add_ids(struct decoder *decoder, const uint64_t *ids, const int32_t *attrs, const int32_t *buffers,
                    int64_t count)
{
    if (decoder->ids || count < 0)
        return REFUSED;
    decoder->ids = malloc((size_t)count * sizeof *ids + 1);
    decoder->attrs = malloc((size_t)count * sizeof *attrs + 1);
    decoder->buffers = malloc((size_t)count * sizeof *buffers + 1);
    if (!decoder->ids || !decoder->attrs || !decoder->buffers)
        return NO_MEMORY;
    for (int64_t index = 0; index < count; index++) {
        if (buffers[index] < 0)
            return REFUSED;
        decoder->ids[index] = ids[index];
        decoder->attrs[index] = attrs[index];
        decoder->buffers[index] = buffers[index];
        if (buffers[index] >= decoder->buffer_count)
            decoder->buffer_count = (int64_t)buffers[index] + 1;
    }
    decoder->id_count = count;
    return 0;
}

/* Add the layout of the next attr. */
int decoder_add_layout(struct decoder *decoder, int32_t group, int32_t time, int32_t cpu, int32_t tail,
                       int32_t has_read, int32_t read_base, int32_t read_each, int32_t has_callchain)
{
    struct sample_layout *layout;

    if (decoder->layout_count == MAX_LAYOUTS)
        return REFUSED;
    if ((group >= 0 && !is_fixed(time, 8)) || (cpu != -1 && !is_fixed(cpu, 4)))
        return REFUSED;
    if (!is_fixed(tail, 6) || read_base < 0 || read_base > 16 || read_each < 0 || read_each > 16)
        return REFUSED;
    layout = grown(decoder->layouts, decoder->layout_count, sizeof *layout);
    if (!layout)
        return NO_MEMORY;
    decoder->layouts = layout;
    layout[decoder->layout_count++] = (struct sample_layout){
        group, time, cpu, tail, has_read, read_base, read_each, has_callchain, 0, 0,
    };
    return 0;
}

/* Add the columns of a table, by their widths in bytes, after the time, the CPU and, with `has_parts`, the part. */
int decoder_add_table(struct decoder *decoder, int32_t table, const int32_t *widths, int32_t count, int32_t has_parts)
{
    int32_t fixed = has_parts ? 3 : 2;
    struct table *added;

    if (table < 0 || table >= MAX_TABLES || count < 0 || count + fixed > MAX_COLUMNS)
        return REFUSED;
    added = &decoder->tables[table];
    if (added->column_count)
        return REFUSED;
    added->columns[TIME_COLUMN].width = 8;
    added->columns[CPU_COLUMN].width = 2;
    if (has_parts)
        added->columns[added->part_column = 2].width = 4;
    for (int32_t index = 0; index < count; index++) {
        if (!is_integer_size(widths[index]))
            return REFUSED;
        added->columns[fixed + index].width = widths[index];
    }
    added->column_count = fixed + count;
    return 0;
}

/* Add the format of raw data that begins with this common_type. */
int decoder_add_format(struct decoder *decoder, int32_t common_type, int32_t end, int32_t table)
{
    struct format *format;

    if (common_type < 0 || common_type >= COMMON_TYPES || decoder->by_common_type[common_type])
        return REFUSED;
    if (end < 0 || table < LACKS_FIELD || table >= MAX_TABLES)
        return REFUSED;
    if (decoder->format_count == MAX_FORMATS || (table >= 0 && !decoder->tables[table].column_count))
        return REFUSED;
    format = grown(decoder->formats, decoder->format_count, sizeof *format);
    if (!format)
        return NO_MEMORY;
    decoder->formats = format;
    format[decoder->format_count++] = (struct format){.common_type = common_type, .end = end, .table = table};
    decoder->by_common_type[common_type] = decoder->format_count;
    return 0;
}

/* Say that the attr is the `place`-th of several that record the format that was added last. */
int decoder_add_repeat(struct decoder *decoder, int32_t attr, int32_t place)
{
    struct format *format = decoder->format_count ? &decoder->formats[decoder->format_count - 1] : NULL;

    if (!format || attr < 0 || attr >= decoder->layout_count || place < 0 || place >= MAX_REPEATS)
        return REFUSED;
    if (!format->last && decoder->buffer_count)
        format->last = calloc((size_t)decoder->buffer_count, sizeof *format->last);
    if (!format->last)
        return decoder->buffer_count ? NO_MEMORY : REFUSED;
    decoder->layouts[attr].repeat_bit = (uint64_t)1 << place;
    return 0;
}

static int is_readable(const struct format *format, const struct column_source *source)
{
    if (source->encoding == CONSTANT)
        return 1;
    if (source->encoding < INTEGER || source->encoding > PREV_STATE || source->offset < 0 || source->size < 1)
        return 0;
    if ((source->encoding == LOCATED_TASK_NAME || source->encoding == LOCATED_TEXT) && source->size != 4)
        return 0;
    if (source->encoding != TASK_NAME && !is_integer_size(source->size))
        return 0;
    return (int64_t)source->offset + source->size <= format->end;
}

/* Whether a column is a plain copy of the field's first bytes, as nearly always on a little-endian machine. */
static int is_copied(const struct decoder *decoder, const struct column_source *source, int32_t width)
{
    const uint16_t one = 1;

    return source->encoding == INTEGER && !decoder->swap && *(const uint8_t *)&one == 1 && width <= source->size;
}

/* Add the next column of the format that was added last. */
int decoder_add_source(struct decoder *decoder, int32_t encoding, int32_t column, int32_t offset, int32_t size,
                       int32_t is_signed)
{
    struct format *format = decoder->format_count ? &decoder->formats[decoder->format_count - 1] : NULL;
    struct column_source source = {(enum encoding)encoding, column, offset, size, is_signed, 0};

    if (!format || format->table < 0 || format->source_count == MAX_SOURCES || !is_readable(format, &source))
        return REFUSED;
    if (column < 2 || column >= decoder->tables[format->table].column_count)
        return REFUSED;
    source.is_copied = is_copied(decoder, &source, decoder->tables[format->table].columns[column].width);
    format->sources[format->source_count++] = source;
    return 0;
}

/* Count samples and their times, but keep no rows. */
void decoder_count_only(struct decoder *decoder)
{
    decoder->counts_only = 1;
}

/* Expect the records of another file, whose order has nothing to do with that of the file before. */
void decoder_enter_part(struct decoder *decoder, int32_t part)
{
    decoder->part = part;
    decoder->has_previous = 0;
}

const struct counts *decoder_counts(const struct decoder *decoder)
{
    return &decoder->counts;
}

/* Write the number of samples of each format, and of each attr that is no tracepoint. */
void decoder_event_counts(const struct decoder *decoder, int64_t *by_format, int64_t *by_attr)
{
    for (int32_t index = 0; index < decoder->format_count; index++)
        by_format[index] = decoder->formats[index].samples;
    for (int32_t index = 0; index < decoder->layout_count; index++)
        by_attr[index] = decoder->layouts[index].non_tracepoint;
}

/* Return the number of a name; NO_MEMORY where there is no room for it. */
int32_t decoder_string_number(struct decoder *decoder, const uint8_t *bytes, int64_t length)
{
    return string_number(&decoder->names, bytes, length);
}

/* Return how many names there are, or states (of 8 bytes each); set where their bytes begin and where each ends. */
int32_t decoder_strings(const struct decoder *decoder, int32_t states, const uint8_t **bytes, const int64_t **ends)
{
    const struct string_table *table = states ? &decoder->states : &decoder->names;

    *bytes = table->bytes;
    *ends = table->ends;
    return table->count;
}

/* Sort every table. NO_MEMORY where there is too little. */
int decoder_sort(struct decoder *decoder)
{
    int64_t rows = 0;
    int failed = 0;
    void *scratch;

    for (int32_t index = 0; index < MAX_TABLES; index++)
        if (decoder->tables[index].rows > rows)
            rows = decoder->tables[index].rows;
    scratch = malloc((size_t)rows * SCRATCH_BYTES + 1);
    if (!scratch)
        return NO_MEMORY;
    for (int32_t index = 0; index < MAX_TABLES; index++)
        failed |= table_sort(&decoder->tables[index], scratch);
    free(scratch);
    return failed ? NO_MEMORY : 0;
}

/* Sort a table that is sorted by time: rows of one time by CPU. NO_MEMORY where there is too little. */
int decoder_sort_by_cpu(struct decoder *decoder, int32_t table)
{
    return table_sort_by_cpu(&decoder->tables[table]);
}

int64_t decoder_rows(const struct decoder *decoder, int32_t table)
{
    return decoder->tables[table].rows;
}

/* Return the memory of a column, which moves when rows are added. */
const uint8_t *decoder_column(const struct decoder *decoder, int32_t table, int32_t column)
{
    return decoder->tables[table].columns[column].data;
}

int64_t decoder_rows_before(const struct decoder *decoder, int32_t table, int64_t time)
{
    return table_before(&decoder->tables[table], time);
}

void decoder_drop_rows(struct decoder *decoder, int32_t table, int64_t rows)
{
    table_drop(&decoder->tables[table], rows);
}
