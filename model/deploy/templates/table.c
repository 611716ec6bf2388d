/*
 * The contexts are a tree, the most recent value nearest to its root. The children of node n are the nodes
 * first_child[n] to first_child[n + 1] - 1, sorted by the value that leads to them. The deepest node that the past
 * leads to decides: what it foresees as most likely was worked out beforehand.
 */
enum { COLUMNS = $columns, DEPTH = $depth };

$data

/* Node to which `value` leads from `node`, or -1 where that was never seen. */
static int32_t child_of(int32_t node, int32_t value)
{
    int32_t low = first_child[node], count = first_child[node + 1] - low;

    if (count == 0)
        return -1;
    while (count > 1) {
        int32_t half = count / 2;

        low += context_value[low + half - 1] < value ? half : 0;
        count -= half;
    }
    return context_value[low] == value ? low : -1;
}

static ${name}_prediction foresee(const ${name}_state *state)
{
    ${name}_prediction prediction;
    int32_t node = 0;

    for (int depth = 0; depth < DEPTH; depth++) {
        int32_t child = child_of(node, state->context[depth]);

        if (child < 0)
            break;
        node = child;
    }
    prediction.mark = best_mark[node];
    prediction.probability = best_probability[node];
    return prediction;
}

/* Witten-Bell: a context seen `total` times with `distinct` marks leaves distinct / (total + distinct) to shorter ones. */
static void blend(int32_t node, double probability[MARKS])
{
    int32_t begin = first_entry[node], end = first_entry[node + 1], distinct = end - begin;
    int64_t total = 0;

    for (int32_t entry = begin; entry < end; entry++)
        total += entry_count[entry];
    for (int mark = 0; mark < MARKS; mark++)
        probability[mark] *= (double)distinct / (double)(total + distinct);
    for (int32_t entry = begin; entry < end; entry++)
        probability[entry_mark[entry]] += (double)entry_count[entry] / (double)(total + distinct);
}

void ${name}_distribution(const ${name}_state *state, double probability[MARKS])
{
    int32_t node = 0;

    for (int mark = 0; mark < MARKS; mark++)
        probability[mark] = 1.0 / MARKS;
    blend(node, probability);
    for (int depth = 0; depth < DEPTH; depth++) {
        node = child_of(node, state->context[depth]);
        if (node < 0)
            return;
        blend(node, probability);
    }
}

$push
