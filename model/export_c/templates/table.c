/*
 * Contexts are numbered; the empty one is 0. A context starts with the most recent value. A hash table maps a
 * context and one further value to the longer context: slot_key is context * VALUES + value + 1, or 0 if the slot is
 * free. The longest known context of the past gives the prediction; its most likely mark was computed beforehand.
 */
enum { COLUMNS = $columns, DEPTH = $depth };

$data

/* Return the context that extends `context` by `value`, or -1 if it never occurred. */
static inline int32_t longer(int32_t context, int32_t value)
{
    int64_t key = (int64_t)context * VALUES + value + 1;
    uint64_t slot = ((uint64_t)key * 0x9E3779B97F4A7C15ULL) >> (64 - SLOT_BITS);

    for (; slot_key[slot] != key; slot = (slot + 1) & ((1ULL << SLOT_BITS) - 1))
        if (slot_key[slot] == 0)
            return -1;
    return slot_context[slot];
}

static ${name}_prediction predict(const ${name}_state *state)
{
    ${name}_prediction prediction;
    int32_t context = 0;

    for (int depth = 0; depth < DEPTH; depth++) {
        int32_t next = longer(context, state->context[depth]);

        if (next < 0)
            break;
        context = next;
    }
    prediction.mark = best_mark[context];
    prediction.probability = best_probability[context];
    return prediction;
}

/* Witten-Bell: a context seen `total` times with `distinct` marks gives backoff / (total + backoff) to the shorter. */
static void blend(int32_t context, double probability[MARKS])
{
    int32_t begin = first_entry[context], end = first_entry[context + 1], distinct = end - begin;
    int64_t backoff = (int64_t)STRENGTH * distinct, total = 0;

    for (int32_t entry = begin; entry < end; entry++)
        total += entry_count[entry];
    for (int mark = 0; mark < MARKS; mark++)
        probability[mark] *= (double)backoff / (double)(total + backoff);
    for (int32_t entry = begin; entry < end; entry++)
        probability[entry_mark[entry]] += (double)entry_count[entry] / (double)(total + backoff);
}

void ${name}_distribution(const ${name}_state *state, double probability[MARKS])
{
    int32_t context = 0;

    for (int mark = 0; mark < MARKS; mark++)
        probability[mark] = 1.0 / MARKS;
    blend(context, probability);
    for (int depth = 0; depth < DEPTH; depth++) {
        context = longer(context, state->context[depth]);
        if (context < 0)
            return;
        blend(context, probability);
    }
}

$push
