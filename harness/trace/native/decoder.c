/* A decoder is made, told what a recording's header says, asked for what it found, and freed.
 *
 * What is told is checked here: a number that could make the decoder read or write where it must not is answered with
 * REFUSED, and nothing is kept of it. */
#include "decoder.h"

#include <stdlib.h>

#include "native.h"

#define REFUSED (-2)
#define MOST_LAYOUTS 4096
#define MOST_FORMATS 65536

static int is_fixed(int64_t offset, int64_t size)
{
    return offset >= 0 && offset + size <= FARTHEST_FIXED;
}

/* `items`, with room for one more of `size` bytes behind `count` others. NULL, and `items` as they are, where there is no
 * room. */
static void *one_more(void *items, int32_t count, size_t size)
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
    for (int32_t place = 0; place < MAX_TABLES; place++)
        table_free(&decoder->tables[place]);
    string_table_free(&decoder->names);
    string_table_free(&decoder->states);
    free(decoder->ids);
    free(decoder->events_by_id);
    free(decoder->layouts);
    free(decoder->formats);
    free(decoder);
}

/* `ids` rise. Samples with one of them are of the event at the same place in `places`. */
int decoder_add_ids(struct decoder *decoder, const uint64_t *ids, const int32_t *events_by_id, int64_t count)
{
    if (decoder->ids || count < 0)
        return REFUSED;
    decoder->ids = malloc((size_t)count * sizeof *ids + 1);
    decoder->events_by_id = malloc((size_t)count * sizeof *events_by_id + 1);
    if (!decoder->ids || !decoder->events_by_id)
        return NO_MEMORY;
    memcpy(decoder->ids, ids, (size_t)count * sizeof *ids);
    memcpy(decoder->events_by_id, events_by_id, (size_t)count * sizeof *events_by_id);
    decoder->id_count = count;
    return 0;
}

/* The next event. */
int decoder_add_layout(struct decoder *decoder, int32_t group, int32_t time, int32_t cpu, int32_t tail, int32_t has_read,
                   int32_t read_base, int32_t read_each, int32_t has_callchain)
{
    struct layout *layout;

    if (decoder->layout_count == MOST_LAYOUTS || (group >= 0 && !is_fixed(time, 8)) || (cpu != -1 && !is_fixed(cpu, 4)))
        return REFUSED;
    if (!is_fixed(tail, 6) || read_base < 0 || read_base > 16 || read_each < 0 || read_each > 16)
        return REFUSED;
    layout = one_more(decoder->layouts, decoder->layout_count, sizeof *layout);
    if (!layout)
        return NO_MEMORY;
    decoder->layouts = layout;
    layout[decoder->layout_count++] = (struct layout){group, time, cpu, tail, has_read, read_base, read_each, has_callchain, 0};
    return 0;
}

/* Columns of `table` behind the time, the CPU and, where `has_parts`, the part. */
int decoder_add_table(struct decoder *decoder, int32_t table, const int32_t *widths, int32_t count, int32_t has_parts)
{
    int32_t fixed = has_parts ? 3 : 2;
    struct table *made;

    if (table < 0 || table >= MAX_TABLES || count < 0 || count + fixed > MAX_COLUMNS)
        return REFUSED;
    made = &decoder->tables[table];
    if (made->column_count)
        return REFUSED;
    made->columns[TIME_COLUMN].width = 8;
    made->columns[CPU_COLUMN].width = 2;
    if (has_parts)
        made->columns[made->part_column = 2].width = 4;
    for (int32_t place = 0; place < count; place++) {
        if (widths[place] != 1 && widths[place] != 2 && widths[place] != 4 && widths[place] != 8)
            return REFUSED;
        made->columns[fixed + place].width = widths[place];
    }
    made->column_count = fixed + count;
    return 0;
}

/* Raw data that begins with `kind` is of this format. */
int decoder_add_format(struct decoder *decoder, int32_t kind, int32_t end, int32_t table)
{
    struct format *format;

    if (kind < 0 || kind >= COMMON_TYPES || decoder->by_common_type[kind] || end < 0 || table < REFUSED_TABLE || table >= MAX_TABLES)
        return REFUSED;
    if (decoder->format_count == MOST_FORMATS || (table >= 0 && !decoder->tables[table].column_count))
        return REFUSED;
    format = one_more(decoder->formats, decoder->format_count, sizeof *format);
    if (!format)
        return NO_MEMORY;
    decoder->formats = format;
    format[decoder->format_count++] = (struct format){.kind = kind, .end = end, .table = table};
    decoder->by_common_type[kind] = decoder->format_count;
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
    if (source->encoding != TASK_NAME && source->size != 1 && source->size != 2 && source->size != 4 && source->size != 8)
        return 0;
    return (int64_t)source->offset + source->size <= format->end;
}

/* Whether the low bytes of a field come first and are all that a column keeps, as nearly always. */
static int is_copied(const struct decoder *decoder, const struct column_source *source, int32_t width)
{
    const uint16_t one = 1;

    return source->encoding == INTEGER && !decoder->swap && *(const uint8_t *)&one == 1 && width <= source->size;
}

/* The next column of the format that was told last. */
int decoder_add_source(struct decoder *decoder, int32_t encoding, int32_t column, int32_t offset, int32_t size, int32_t is_signed)
{
    struct format *format = decoder->format_count ? &decoder->formats[decoder->format_count - 1] : NULL;
    struct column_source source = {(enum encoding)encoding, column, offset, size, is_signed, 0};

    if (!format || format->table < 0 || format->source_count == MAX_SOURCES || !is_readable(format, &source))
        return REFUSED;
    if (column < 2 || column >= decoder->tables[format->table].column_count)
        return REFUSED;
    source.copied = is_copied(decoder, &source, decoder->tables[format->table].columns[column].width);
    format->sources[format->source_count++] = source;
    return 0;
}

/* Count samples and their times, but keep no rows. */
void decoder_count_only(struct decoder *decoder)
{
    decoder->counts_only = 1;
}

/* What comes next is of another file, whose order has nothing to do with the last one's. */
void decoder_enter_part(struct decoder *decoder, int32_t part)
{
    decoder->part = part;
    decoder->has_previous = 0;
}

const struct counts *decoder_counts(const struct decoder *decoder)
{
    return &decoder->counts;
}

/* Samples of each format, then of each event that is no tracepoint. */
void decoder_event_counts(const struct decoder *decoder, int64_t *formats, int64_t *non_tracepoint)
{
    for (int32_t place = 0; place < decoder->format_count; place++)
        formats[place] = decoder->formats[place].samples;
    for (int32_t place = 0; place < decoder->layout_count; place++)
        non_tracepoint[place] = decoder->layouts[place].non_tracepoint;
}

/* The number of a name; NO_MEMORY where there is no room for it. */
int32_t decoder_string_number(struct decoder *decoder, const uint8_t *bytes, int64_t length)
{
    return string_number(&decoder->names, bytes, length);
}

/* All names, or all states (8 bytes each), one behind the other, and where each ends. How many there are. */
int32_t decoder_strings(const struct decoder *decoder, int32_t states, const uint8_t **bytes, const int64_t **ends)
{
    const struct string_table *names = states ? &decoder->states : &decoder->names;

    *bytes = names->bytes;
    *ends = names->ends;
    return names->count;
}

/* Sort every table. NO_MEMORY where there is too little. */
int decoder_sort(struct decoder *decoder)
{
    int64_t rows = 0;
    int failed = 0;
    void *scratch;

    for (int32_t place = 0; place < MAX_TABLES; place++)
        if (decoder->tables[place].rows > rows)
            rows = decoder->tables[place].rows;
    scratch = malloc((size_t)rows * SCRATCH_BYTES + 1);
    if (!scratch)
        return NO_MEMORY;
    for (int32_t place = 0; place < MAX_TABLES; place++)
        failed |= table_sort(&decoder->tables[place], scratch);
    free(scratch);
    return failed ? NO_MEMORY : 0;
}

int64_t decoder_rows(const struct decoder *decoder, int32_t table)
{
    return decoder->tables[table].rows;
}

/* The numbers of a column; they move when rows are added. */
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
