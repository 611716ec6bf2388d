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
    struct decoder *of;

    if (!is_fixed(time_offset, 8) || (id_offset != -1 && !is_fixed(id_offset, 8)))
        return NULL;
    of = calloc(1, sizeof *of);
    if (!of)
        return NULL;
    of->swap = swap;
    of->time_offset = time_offset;
    of->id_offset = id_offset;
    return of;
}

void decoder_free(struct decoder *of)
{
    if (!of)
        return;
    for (int32_t place = 0; place < MAX_TABLES; place++)
        table_free(&of->tables[place]);
    names_free(&of->names);
    names_free(&of->states);
    free(of->ids);
    free(of->places);
    free(of->layouts);
    free(of->formats);
    free(of);
}

/* `ids` rise. Samples with one of them are of the event at the same place in `places`. */
int decoder_ids(struct decoder *of, const uint64_t *ids, const int32_t *places, int64_t count)
{
    if (of->ids || count < 0)
        return REFUSED;
    of->ids = malloc((size_t)count * sizeof *ids + 1);
    of->places = malloc((size_t)count * sizeof *places + 1);
    if (!of->ids || !of->places)
        return NO_MEMORY;
    memcpy(of->ids, ids, (size_t)count * sizeof *ids);
    memcpy(of->places, places, (size_t)count * sizeof *places);
    of->id_count = count;
    return 0;
}

/* The next event. */
int decoder_layout(struct decoder *of, int32_t group, int32_t time, int32_t cpu, int32_t tail, int32_t has_read,
                   int32_t read_base, int32_t read_each, int32_t has_callchain)
{
    struct layout *layout;

    if (of->layout_count == MOST_LAYOUTS || (group >= 0 && !is_fixed(time, 8)) || (cpu != -1 && !is_fixed(cpu, 4)))
        return REFUSED;
    if (!is_fixed(tail, 6) || read_base < 0 || read_base > 16 || read_each < 0 || read_each > 16)
        return REFUSED;
    layout = one_more(of->layouts, of->layout_count, sizeof *layout);
    if (!layout)
        return NO_MEMORY;
    of->layouts = layout;
    layout[of->layout_count++] = (struct layout){group, time, cpu, tail, has_read, read_base, read_each, has_callchain, 0};
    return 0;
}

/* Columns of `table` behind the time, the CPU and, where `has_parts`, the part. */
int decoder_table(struct decoder *of, int32_t table, const int32_t *widths, int32_t count, int32_t has_parts)
{
    int32_t fixed = has_parts ? 3 : 2;
    struct table *made;

    if (table < 0 || table >= MAX_TABLES || count < 0 || count + fixed > MAX_COLUMNS)
        return REFUSED;
    made = &of->tables[table];
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
int decoder_format(struct decoder *of, int32_t kind, int32_t end, int32_t table)
{
    struct format *format;

    if (kind < 0 || kind >= KINDS || of->by_kind[kind] || end < 0 || table < REFUSED_TABLE || table >= MAX_TABLES)
        return REFUSED;
    if (of->format_count == MOST_FORMATS || (table >= 0 && !of->tables[table].column_count))
        return REFUSED;
    format = one_more(of->formats, of->format_count, sizeof *format);
    if (!format)
        return NO_MEMORY;
    of->formats = format;
    format[of->format_count++] = (struct format){.kind = kind, .end = end, .table = table};
    of->by_kind[kind] = of->format_count;
    return 0;
}

static int is_readable(const struct format *format, const struct step *step)
{
    if (step->how == CONSTANT)
        return 1;
    if (step->how < INTEGER || step->how > STATE || step->offset < 0 || step->size < 1)
        return 0;
    if ((step->how == LOCATED_TASK_NAME || step->how == LOCATED_TEXT) && step->size != 4)
        return 0;
    if (step->how != TASK_NAME && step->size != 1 && step->size != 2 && step->size != 4 && step->size != 8)
        return 0;
    return (int64_t)step->offset + step->size <= format->end;
}

/* Whether the low bytes of a field come first and are all that a column keeps, as nearly always. */
static int is_copied(const struct decoder *of, const struct step *step, int32_t width)
{
    const uint16_t one = 1;

    return step->how == INTEGER && !of->swap && *(const uint8_t *)&one == 1 && width <= step->size;
}

/* The next column of the format that was told last. */
int decoder_step(struct decoder *of, int32_t how, int32_t column, int32_t offset, int32_t size, int32_t is_signed)
{
    struct format *format = of->format_count ? &of->formats[of->format_count - 1] : NULL;
    struct step step = {(enum how)how, column, offset, size, is_signed, 0};

    if (!format || format->table < 0 || format->step_count == MAX_STEPS || !is_readable(format, &step))
        return REFUSED;
    if (column < 2 || column >= of->tables[format->table].column_count)
        return REFUSED;
    step.copied = is_copied(of, &step, of->tables[format->table].columns[column].width);
    format->steps[format->step_count++] = step;
    return 0;
}

/* Count samples and their times, but keep no rows. */
void decoder_counts_only(struct decoder *of)
{
    of->counts_only = 1;
}

/* What comes next is of another file, whose order has nothing to do with the last one's. */
void decoder_part(struct decoder *of, int32_t part)
{
    of->part = part;
    of->has_previous = 0;
}

const struct counted *decoder_counted(const struct decoder *of)
{
    return &of->counted;
}

/* Samples of each format, then of each event that is no tracepoint. */
void decoder_seen(const struct decoder *of, int64_t *formats, int64_t *foreign)
{
    for (int32_t place = 0; place < of->format_count; place++)
        formats[place] = of->formats[place].seen;
    for (int32_t place = 0; place < of->layout_count; place++)
        foreign[place] = of->layouts[place].foreign;
}

/* The number of a name; NO_MEMORY where there is no room for it. */
int32_t decoder_name(struct decoder *of, const uint8_t *bytes, int64_t length)
{
    return name_number(&of->names, bytes, length);
}

/* All names, or all states (8 bytes each), one behind the other, and where each ends. How many there are. */
int32_t decoder_names(const struct decoder *of, int32_t states, const uint8_t **bytes, const int64_t **ends)
{
    const struct names *names = states ? &of->states : &of->names;

    *bytes = names->bytes;
    *ends = names->ends;
    return names->count;
}

/* Sort every table. NO_MEMORY where there is too little. */
int decoder_sort(struct decoder *of)
{
    int64_t rows = 0;
    int failed = 0;
    void *scratch;

    for (int32_t place = 0; place < MAX_TABLES; place++)
        if (of->tables[place].rows > rows)
            rows = of->tables[place].rows;
    scratch = malloc((size_t)rows * SCRATCH_BYTES + 1);
    if (!scratch)
        return NO_MEMORY;
    for (int32_t place = 0; place < MAX_TABLES; place++)
        failed |= table_sort(&of->tables[place], scratch);
    free(scratch);
    return failed ? NO_MEMORY : 0;
}

int64_t decoder_rows(const struct decoder *of, int32_t table)
{
    return of->tables[table].rows;
}

/* The numbers of a column; they move when rows are added. */
const uint8_t *decoder_column(const struct decoder *of, int32_t table, int32_t column)
{
    return of->tables[table].columns[column].data;
}

int64_t decoder_before(const struct decoder *of, int32_t table, int64_t time)
{
    return table_before(&of->tables[table], time);
}

void decoder_drop(struct decoder *of, int32_t table, int64_t rows)
{
    table_drop(&of->tables[table], rows);
}
