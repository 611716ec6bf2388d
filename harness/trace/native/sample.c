/* One sample to one row.
 *
 * Layout of a sample: the comment above PERF_RECORD_SAMPLE in include/uapi/linux/perf_event.h. */
#include "bytes.h"
#include "decoder.h"
#include "native.h"

#define COMMON_TYPE_BYTES 2          /* common_type begins the raw data */
#define MOST_MEMBERS (1 << 16) /* a count that is larger does not fit in any record */
#define LONGEST_TEXT 0xFFFF

/* The raw data of a sample, and the sample it is in. */
struct raw {
    const uint8_t *at;
    int64_t size;
    int64_t time;
    int16_t cpu;
};

/* The event of a sample, or -1 where its id is unknown. */
static int32_t event_of(const struct decoder *decoder, const uint8_t *record)
{
    uint64_t id;
    int64_t low = 0, high = decoder->id_count;

    if (decoder->id_offset < 0 || !decoder->id_count)
        return 0;
    id = load64(record + decoder->id_offset, decoder->swap);
    /* ids mostly count up by one, so the distance from the first one is the place */
    if (id - decoder->ids[0] < (uint64_t)high && decoder->ids[id - decoder->ids[0]] == id)
        return decoder->events_by_id[id - decoder->ids[0]];
    while (low < high) {
        int64_t middle = low + (high - low) / 2;

        if (decoder->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < decoder->id_count && decoder->ids[low] == id ? decoder->events_by_id[low] : -1;
}

/* The count at `offset` of a record, or one too large to fit. */
static int64_t count_at(const struct decoder *decoder, const uint8_t *record, int64_t size, int64_t offset)
{
    uint64_t count = load64(record + (offset < size - 8 ? offset : size - 8), decoder->swap);

    return count < MOST_MEMBERS ? (int64_t)count : MOST_MEMBERS;
}

/* Where the size of the raw data lies: READ and CALLCHAIN, of any length, come before it. At most `size`. */
static int64_t tail_of(const struct decoder *decoder, const struct layout *layout, const uint8_t *record, int64_t size)
{
    int64_t offset = layout->tail;

    if (!layout->has_read && !layout->has_callchain)
        return offset;
    if (layout->has_read) {
        int64_t members = layout->read_each ? count_at(decoder, record, size, offset) : 1;

        offset += 8 * (layout->read_base + layout->read_each * members);
    }
    if (layout->has_callchain)
        offset += 8 * (1 + count_at(decoder, record, size, offset));
    return offset < size ? offset : size;
}

/* Find the raw data; whether it lies inside the record. */
static int find_raw(const struct decoder *decoder, const struct layout *layout, const uint8_t *record, int64_t size,
                    struct raw *raw)
{
    int64_t tail = tail_of(decoder, layout, record, size);

    if (size < tail + 4 + COMMON_TYPE_BYTES)
        return 0;
    raw->at = record + tail + 4;
    raw->size = load32(record + tail, decoder->swap);
    raw->time = (int64_t)load64(record + layout->time, decoder->swap);
    raw->cpu = layout->cpu < 0 ? -1 : (int16_t)load32(record + layout->cpu, decoder->swap);
    return raw->size >= COMMON_TYPE_BYTES && raw->size <= size - (tail + 4);
}

/* Bytes behind the fixed fields, at (length << 16 | offset) from the start of the raw data; what cannot be is empty. */
static int64_t located(struct decoder *decoder, const struct raw *raw, int32_t at, int64_t longest, const uint8_t **bytes)
{
    uint32_t word = load32(raw->at + at, decoder->swap);
    int64_t offset = word & 0xFFFF, length = word >> 16;

    *bytes = raw->at;
    if (offset + length > raw->size || length > longest) {
        decoder->counts.bad++;
        return 0;
    }
    *bytes += offset;
    return length;
}

static int64_t located_name(struct decoder *decoder, const struct raw *raw, const struct column_source *source)
{
    uint8_t name[NAME_BYTES] = {0};
    const uint8_t *bytes;
    int64_t length = located(decoder, raw, source->offset, NAME_BYTES, &bytes);

    memcpy(name, bytes, (size_t)length);
    return task_name_number(&decoder->names, name);
}

static int64_t located_text(struct decoder *decoder, const struct raw *raw, const struct column_source *source)
{
    const uint8_t *bytes, *nul;
    int64_t length = located(decoder, raw, source->offset, LONGEST_TEXT, &bytes);

    nul = memchr(bytes, 0, (size_t)length);
    return string_number(&decoder->names, bytes, nul ? nul - bytes : length);
}

static int64_t fixed_name(struct decoder *decoder, const struct raw *raw, const struct column_source *source)
{
    uint8_t name[NAME_BYTES] = {0};

    if (source->size == NAME_BYTES)
        return task_name_number(&decoder->names, raw->at + source->offset);
    memcpy(name, raw->at + source->offset, source->size < NAME_BYTES ? (size_t)source->size : NAME_BYTES);
    return task_name_number(&decoder->names, name);
}

/* The number of a prev_state; few differ, so they are numbered as names are. */
static int64_t prev_state_number(struct decoder *decoder, int64_t state)
{
    uint8_t bytes[NAME_BYTES] = {0};
    uint64_t low, high;
    struct remembered *place;
    int32_t number;

    memcpy(bytes, &state, sizeof state);
    place = remembered_at(&decoder->states, bytes, &low, &high);
    if (place->low == low && place->marked)
        return place->marked - 1;
    number = string_number(&decoder->states, bytes, sizeof state);
    if (number >= 0)
        *place = (struct remembered){low, high, number + 1};
    return number;
}

/* The value of a column; NO_MEMORY of a name where there is no room for it. */
static int64_t value_of(struct decoder *decoder, const struct raw *raw, const struct column_source *source)
{
    const uint8_t *at = raw->at + source->offset;

    switch (source->encoding) {
    case INTEGER:
        return load_integer(at, source->size, source->is_signed, decoder->swap);
    case TRUTH:
        return load_integer(at, source->size, source->is_signed, decoder->swap) != 0;
    case TASK_NAME:
        return fixed_name(decoder, raw, source);
    case LOCATED_TASK_NAME:
        return located_name(decoder, raw, source);
    case LOCATED_TEXT:
        return located_text(decoder, raw, source);
    case PREV_STATE:
        return prev_state_number(decoder, load_integer(at, source->size, source->is_signed, decoder->swap));
    default:
        return source->offset;
    }
}

static void put_value(struct decoder *decoder, const struct column *column, int64_t row, const struct raw *raw,
                      const struct column_source *source)
{
    int64_t value = value_of(decoder, raw, source);

    if (value == NO_MEMORY && source->encoding >= TASK_NAME)
        decoder->counts.failed = 1;
    column_put(column, row, value);
}

static void add_row(struct decoder *decoder, const struct format *format, const struct raw *raw)
{
    struct table *table = &decoder->tables[format->table];

    if (table_grow(table)) {
        decoder->counts.failed = 1;
        return;
    }
    column_put(&table->columns[TIME_COLUMN], table->rows, raw->time);
    column_put(&table->columns[CPU_COLUMN], table->rows, raw->cpu);
    if (table->part_column)
        column_put(&table->columns[table->part_column], table->rows, decoder->part);
    for (int32_t place = 0; place < format->source_count; place++) {
        const struct column_source *source = &format->sources[place];

        if (source->copied)
            column_copy(&table->columns[source->column], table->rows, raw->at + source->offset);
        else
            put_value(decoder, &table->columns[source->column], table->rows, raw, source);
    }
    table->rows++;
}

/* Note the first format in this buffer that cannot be read: by layout, then by common_type. */
static void refuse(struct decoder *decoder, const struct layout *layout, const struct format *format)
{
    int64_t rank = (int64_t)layout->group * COMMON_TYPES + format->kind;

    if (decoder->counts.refused < 0 || rank < decoder->refused_rank) {
        decoder->refused_rank = rank;
        decoder->counts.refused = format - decoder->formats;
    }
}

static void take_raw(struct decoder *decoder, const struct layout *layout, const struct raw *raw)
{
    int32_t place = decoder->by_common_type[load16(raw->at, decoder->swap)];
    struct format *format = place ? &decoder->formats[place - 1] : NULL;

    if (!format || raw->size < format->end) {
        decoder->counts.bad++;
        return;
    }
    format->samples++;
    if (format->table == REFUSED_TABLE)
        refuse(decoder, layout, format);
    else if (format->table != NO_TABLE)
        add_row(decoder, format, raw);
}

void take_sample(struct decoder *decoder, const uint8_t *record, int64_t size)
{
    int32_t place = event_of(decoder, record);
    struct layout *layout;
    struct raw raw;

    if (place < 0 || place >= decoder->layout_count) {
        decoder->counts.bad++;
        return;
    }
    layout = &decoder->layouts[place];
    if (layout->group < 0)
        layout->non_tracepoint++;
    else if (find_raw(decoder, layout, record, size, &raw))
        take_raw(decoder, layout, &raw);
    else
        decoder->counts.bad++;
}
