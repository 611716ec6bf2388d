/* One sample to one row.
 *
 * Layout of a sample: the comment above PERF_RECORD_SAMPLE in include/uapi/linux/perf_event.h. */
#include "bytes.h"
#include "decoder.h"
#include "native.h"

#define KIND_BYTES 2          /* common_type begins the raw data */
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
static int32_t place_of(const struct decoder *of, const uint8_t *record)
{
    uint64_t id;
    int64_t low = 0, high = of->id_count;

    if (of->id_offset < 0 || !of->id_count)
        return 0;
    id = load64(record + of->id_offset, of->swap);
    /* ids mostly count up by one, so the distance from the first one is the place */
    if (id - of->ids[0] < (uint64_t)high && of->ids[id - of->ids[0]] == id)
        return of->places[id - of->ids[0]];
    while (low < high) {
        int64_t middle = low + (high - low) / 2;

        if (of->ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < of->id_count && of->ids[low] == id ? of->places[low] : -1;
}

/* The count at `offset` of a record, or one too large to fit. */
static int64_t count_at(const struct decoder *of, const uint8_t *record, int64_t size, int64_t offset)
{
    uint64_t count = load64(record + (offset < size - 8 ? offset : size - 8), of->swap);

    return count < MOST_MEMBERS ? (int64_t)count : MOST_MEMBERS;
}

/* Where the size of the raw data lies: READ and CALLCHAIN, of any length, come before it. At most `size`. */
static int64_t tail_of(const struct decoder *of, const struct layout *layout, const uint8_t *record, int64_t size)
{
    int64_t offset = layout->tail;

    if (!layout->has_read && !layout->has_callchain)
        return offset;
    if (layout->has_read) {
        int64_t members = layout->read_each ? count_at(of, record, size, offset) : 1;

        offset += 8 * (layout->read_base + layout->read_each * members);
    }
    if (layout->has_callchain)
        offset += 8 * (1 + count_at(of, record, size, offset));
    return offset < size ? offset : size;
}

/* Find the raw data; whether it lies inside the record. */
static int find_raw(const struct decoder *of, const struct layout *layout, const uint8_t *record, int64_t size,
                    struct raw *raw)
{
    int64_t tail = tail_of(of, layout, record, size);

    if (size < tail + 4 + KIND_BYTES)
        return 0;
    raw->at = record + tail + 4;
    raw->size = load32(record + tail, of->swap);
    raw->time = (int64_t)load64(record + layout->time, of->swap);
    raw->cpu = layout->cpu < 0 ? -1 : (int16_t)load32(record + layout->cpu, of->swap);
    return raw->size >= KIND_BYTES && raw->size <= size - (tail + 4);
}

/* Bytes behind the fixed fields, at (length << 16 | offset) from the start of the raw data; what cannot be is empty. */
static int64_t located(struct decoder *of, const struct raw *raw, int32_t at, int64_t longest, const uint8_t **bytes)
{
    uint32_t word = load32(raw->at + at, of->swap);
    int64_t offset = word & 0xFFFF, length = word >> 16;

    *bytes = raw->at;
    if (offset + length > raw->size || length > longest) {
        of->counted.bad++;
        return 0;
    }
    *bytes += offset;
    return length;
}

static int64_t located_name(struct decoder *of, const struct raw *raw, const struct step *step)
{
    uint8_t name[NAME_BYTES] = {0};
    const uint8_t *bytes;
    int64_t length = located(of, raw, step->offset, NAME_BYTES, &bytes);

    memcpy(name, bytes, (size_t)length);
    return task_name_number(&of->names, name);
}

static int64_t located_text(struct decoder *of, const struct raw *raw, const struct step *step)
{
    const uint8_t *bytes, *nul;
    int64_t length = located(of, raw, step->offset, LONGEST_TEXT, &bytes);

    nul = memchr(bytes, 0, (size_t)length);
    return name_number(&of->names, bytes, nul ? nul - bytes : length);
}

static int64_t fixed_name(struct decoder *of, const struct raw *raw, const struct step *step)
{
    uint8_t name[NAME_BYTES] = {0};

    if (step->size == NAME_BYTES)
        return task_name_number(&of->names, raw->at + step->offset);
    memcpy(name, raw->at + step->offset, step->size < NAME_BYTES ? (size_t)step->size : NAME_BYTES);
    return task_name_number(&of->names, name);
}

/* The number of a prev_state; few differ, so they are numbered as names are. */
static int64_t state_number(struct decoder *of, int64_t state)
{
    uint8_t bytes[NAME_BYTES] = {0};
    uint64_t low, high;
    struct remembered *place;
    int32_t number;

    memcpy(bytes, &state, sizeof state);
    place = remembered_at(&of->states, bytes, &low, &high);
    if (place->low == low && place->marked)
        return place->marked - 1;
    number = name_number(&of->states, bytes, sizeof state);
    if (number >= 0)
        *place = (struct remembered){low, high, number + 1};
    return number;
}

/* The value of a column; NO_MEMORY of a name where there is no room for it. */
static int64_t value_of(struct decoder *of, const struct raw *raw, const struct step *step)
{
    const uint8_t *at = raw->at + step->offset;

    switch (step->how) {
    case INTEGER:
        return load_integer(at, step->size, step->is_signed, of->swap);
    case TRUTH:
        return load_integer(at, step->size, step->is_signed, of->swap) != 0;
    case TASK_NAME:
        return fixed_name(of, raw, step);
    case LOCATED_TASK_NAME:
        return located_name(of, raw, step);
    case LOCATED_TEXT:
        return located_text(of, raw, step);
    case STATE:
        return state_number(of, load_integer(at, step->size, step->is_signed, of->swap));
    default:
        return step->offset;
    }
}

static void put_value(struct decoder *of, const struct column *column, int64_t row, const struct raw *raw,
                      const struct step *step)
{
    int64_t value = value_of(of, raw, step);

    if (value == NO_MEMORY && step->how >= TASK_NAME)
        of->counted.failed = 1;
    column_put(column, row, value);
}

static void add_row(struct decoder *of, const struct format *format, const struct raw *raw)
{
    struct table *table = &of->tables[format->table];

    if (table_grow(table)) {
        of->counted.failed = 1;
        return;
    }
    column_put(&table->columns[TIME_COLUMN], table->rows, raw->time);
    column_put(&table->columns[CPU_COLUMN], table->rows, raw->cpu);
    if (table->part_column)
        column_put(&table->columns[table->part_column], table->rows, of->part);
    for (int32_t place = 0; place < format->step_count; place++) {
        const struct step *step = &format->steps[place];

        if (step->copied)
            column_copy(&table->columns[step->column], table->rows, raw->at + step->offset);
        else
            put_value(of, &table->columns[step->column], table->rows, raw, step);
    }
    table->rows++;
}

/* Note the first format in this buffer that cannot be read: by layout, then by common_type. */
static void refuse(struct decoder *of, const struct layout *layout, const struct format *format)
{
    int64_t rank = (int64_t)layout->group * KINDS + format->kind;

    if (of->counted.refused < 0 || rank < of->refused_rank) {
        of->refused_rank = rank;
        of->counted.refused = format - of->formats;
    }
}

static void take_raw(struct decoder *of, const struct layout *layout, const struct raw *raw)
{
    int32_t place = of->by_kind[load16(raw->at, of->swap)];
    struct format *format = place ? &of->formats[place - 1] : NULL;

    if (!format || raw->size < format->end) {
        of->counted.bad++;
        return;
    }
    format->seen++;
    if (format->table == REFUSED_TABLE)
        refuse(of, layout, format);
    else if (format->table != NO_TABLE)
        add_row(of, format, raw);
}

void take_sample(struct decoder *of, const uint8_t *record, int64_t size)
{
    int32_t place = place_of(of, record);
    struct layout *layout;
    struct raw raw;

    if (place < 0 || place >= of->layout_count) {
        of->counted.bad++;
        return;
    }
    layout = &of->layouts[place];
    if (layout->group < 0)
        layout->foreign++;
    else if (find_raw(of, layout, record, size, &raw))
        take_raw(of, layout, &raw);
    else
        of->counted.bad++;
}
