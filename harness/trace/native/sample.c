/* Decodes one sample into one row.
 *
 * Layout of a sample: the comment above PERF_RECORD_SAMPLE in include/uapi/linux/perf_event.h. */
#include "bytes.h"
#include "decoder.h"
#include "native.h"

#define COMMON_TYPE_BYTES 2   /* common_type begins the raw data */
#define MAX_MEMBERS (1 << 16) /* no record holds more */
#define MAX_TEXT 0xFFFF       /* bytes */

/* The raw data of a sample, and the time, CPU and buffer of the sample. */
struct raw {
    const uint8_t *data;
    int64_t size;
    int64_t time;
    int16_t cpu;
    int32_t buffer;
};

/* The place of a sample's id among all ids, or -1 where it is unknown. */
static int64_t id_place(const struct decoder *decoder, const uint8_t *record)
{
    uint64_t id;
    int64_t low = 0, high = decoder->id_count;

    id = load64(record + decoder->id_offset, decoder->swap);
    /* ids mostly count up by one, so the distance from the first one is the index */
    if (id - decoder->ids[0] < (uint64_t)high && decoder->ids[id - decoder->ids[0]] == id)
        return (int64_t)(id - decoder->ids[0]);
    while (low < high) {
        int64_t middle = low + (high - low) / 2;

        if (decoder->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < decoder->id_count && decoder->ids[low] == id ? low : -1;
}

/* The count at `offset` of a record, or one that is too large for any record. */
static int64_t count_at(const struct decoder *decoder, const uint8_t *record, int64_t size, int64_t offset)
{
    uint64_t count = load64(record + (offset < size - 8 ? offset : size - 8), decoder->swap);

    return count < MAX_MEMBERS ? (int64_t)count : MAX_MEMBERS;
}

/* The offset of the raw data's size, after READ and CALLCHAIN, which have any length. At most `size`. */
static int64_t tail_of(const struct decoder *decoder, const struct sample_layout *layout, const uint8_t *record,
                       int64_t size)
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

/* Find the raw data. Return whether it lies inside the record. */
static int find_raw(const struct decoder *decoder, const struct sample_layout *layout, const uint8_t *record,
                    int64_t size, struct raw *raw)
{
    int64_t tail = tail_of(decoder, layout, record, size);

    if (size < tail + 4 + COMMON_TYPE_BYTES)
        return 0;
    raw->data = record + tail + 4;
    raw->size = load32(record + tail, decoder->swap);
    raw->time = (int64_t)load64(record + layout->time, decoder->swap);
    raw->cpu = layout->cpu < 0 ? -1 : (int16_t)load32(record + layout->cpu, decoder->swap);
    return raw->size >= COMMON_TYPE_BYTES && raw->size <= size - (tail + 4);
}

/* Find the bytes of a __data_loc field, which holds length << 16 | offset from the start of the raw data. Return their
 * length. If they lie outside the raw data or are more than `max_length`, count the sample as bad and return 0. */
static int64_t located_bytes(struct decoder *decoder, const struct raw *raw, int32_t field, int64_t max_length,
                             const uint8_t **bytes)
{
    uint32_t word = load32(raw->data + field, decoder->swap);
    int64_t offset = word & 0xFFFF, length = word >> 16;

    *bytes = raw->data;
    if (offset + length > raw->size || length > max_length) {
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
    int64_t length = located_bytes(decoder, raw, source->offset, NAME_BYTES, &bytes);

    memcpy(name, bytes, (size_t)length);
    return task_name_number(&decoder->names, name);
}

static int64_t located_text(struct decoder *decoder, const struct raw *raw, const struct column_source *source)
{
    const uint8_t *bytes, *nul;
    int64_t length = located_bytes(decoder, raw, source->offset, MAX_TEXT, &bytes);

    nul = memchr(bytes, 0, (size_t)length);
    return string_number(&decoder->names, bytes, nul ? nul - bytes : length);
}

static int64_t fixed_name(struct decoder *decoder, const struct raw *raw, const struct column_source *source)
{
    uint8_t name[NAME_BYTES] = {0};

    if (source->size == NAME_BYTES)
        return task_name_number(&decoder->names, raw->data + source->offset);
    memcpy(name, raw->data + source->offset, source->size < NAME_BYTES ? (size_t)source->size : NAME_BYTES);
    return task_name_number(&decoder->names, name);
}

/* The number of a prev_state; there are few different ones, so they are numbered as names are. The letters of a state
 * come from tracepoint/task_state.py. */
static int64_t prev_state_number(struct decoder *decoder, int64_t state)
{
    uint8_t bytes[NAME_BYTES] = {0};
    uint64_t low, high;
    struct recent_name *entry;
    int32_t number;

    memcpy(bytes, &state, sizeof state);
    entry = recent_entry(&decoder->states, bytes, &low, &high);
    if (entry->low == low && entry->number_plus_one)
        return entry->number_plus_one - 1;
    number = string_number(&decoder->states, bytes, sizeof state);
    if (number >= 0)
        *entry = (struct recent_name){low, high, number + 1};
    return number;
}

/* The value of a column; NO_MEMORY where there is no room for a new name. */
static int64_t value_of(struct decoder *decoder, const struct raw *raw, const struct column_source *source)
{
    const uint8_t *field = raw->data + source->offset;

    switch (source->encoding) {
    case INTEGER:
        return load_integer(field, source->size, source->is_signed, decoder->swap);
    case TRUTH:
        return load_integer(field, source->size, source->is_signed, decoder->swap) != 0;
    case TASK_NAME:
        return fixed_name(decoder, raw, source);
    case LOCATED_TASK_NAME:
        return located_name(decoder, raw, source);
    case LOCATED_TEXT:
        return located_text(decoder, raw, source);
    case PREV_STATE:
        return prev_state_number(decoder, load_integer(field, source->size, source->is_signed, decoder->swap));
    default:
        return source->offset;
    }
}

static void put_value(struct decoder *decoder, const struct column *column, int64_t row, const struct raw *raw,
                      const struct column_source *source)
{
    int64_t value = value_of(decoder, raw, source);

    if (value == NO_MEMORY && source->encoding >= TASK_NAME)
        decoder->counts.out_of_memory = 1;
    column_put(column, row, value);
}

static void add_row(struct decoder *decoder, const struct format *format, const struct raw *raw)
{
    struct table *table = &decoder->tables[format->table];

    if (table_grow(table)) {
        decoder->counts.out_of_memory = 1;
        return;
    }
    column_put(&table->columns[TIME_COLUMN], table->rows, raw->time);
    column_put(&table->columns[CPU_COLUMN], table->rows, raw->cpu);
    if (table->part_column)
        column_put(&table->columns[table->part_column], table->rows, decoder->part);
    for (int32_t index = 0; index < format->source_count; index++) {
        const struct column_source *source = &format->sources[index];

        if (source->is_copied)
            column_copy(&table->columns[source->column], table->rows, raw->data + source->offset);
        else
            put_value(decoder, &table->columns[source->column], table->rows, raw, source);
    }
    table->rows++;
}

/* Note the first format in this buffer that lacks a field: by layout, then by common_type. */
static void note_lacking(struct decoder *decoder, const struct sample_layout *layout, const struct format *format)
{
    int64_t rank = (int64_t)layout->group * COMMON_TYPES + format->common_type;

    if (decoder->counts.lacking_format < 0 || rank < decoder->lacking_rank) {
        decoder->lacking_rank = rank;
        decoder->counts.lacking_format = format - decoder->formats;
    }
}

static void decode_raw(struct decoder *decoder, const struct sample_layout *layout, const struct raw *raw)
{
    int32_t index = decoder->by_common_type[load16(raw->data, decoder->swap)];
    struct format *format = index ? &decoder->formats[index - 1] : NULL;

    if (!format || raw->size < format->end) {
        decoder->counts.bad++;
        return;
    }
    if (format->last && layout->repeat_bit &&
        is_repeat(&format->last[raw->buffer], raw->data, format->end, layout->repeat_bit)) {
        decoder->counts.repeats++;
        return;
    }
    format->samples++;
    if (format->table == LACKS_FIELD)
        note_lacking(decoder, layout, format);
    else if (format->table != NO_TABLE)
        add_row(decoder, format, raw);
}

void decode_sample(struct decoder *decoder, const uint8_t *record, int64_t size)
{
    int32_t has_id = decoder->id_offset >= 0 && decoder->id_count;
    int64_t place = has_id ? id_place(decoder, record) : -1;
    int32_t index = !has_id ? 0 : place < 0 ? -1 : decoder->attrs[place];
    struct sample_layout *layout;
    struct raw raw = {.buffer = place < 0 ? 0 : decoder->buffers[place]};

    if (index < 0 || index >= decoder->layout_count) {
        decoder->counts.bad++;
        return;
    }
    layout = &decoder->layouts[index];
    if (layout->group < 0)
        layout->non_tracepoint++;
    else if (find_raw(decoder, layout, record, size, &raw))
        decode_raw(decoder, layout, &raw);
    else
        decoder->counts.bad++;
}
