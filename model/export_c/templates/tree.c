/*
 * A decision tree on integers. A threshold on a logarithm is stored as the largest number of nanoseconds, or of events,
 * for which the tree goes left. The time since a mark that was not seen (NOT_SEEN) is negative.
 */
enum { LAGS = $lags, TRACKED = $tracked_count, WINDOW = $window, UNTRACKED = -1 };
static const int64_t NOT_SEEN = INT64_MAX / 2;
static const int64_t NO_SLICE_NS = 368; /* has a logarithm (of us) of -1, as in training */

$data

/* The leaf for the past events. */
static int leaf_of(const ${name}_state *state)
{
$walk
}

static ${name}_prediction predict(${name}_state *state)
{
    ${name}_prediction prediction;

    state->leaf = leaf_of(state);
    prediction.mark = best_mark[state->leaf];
    prediction.probability = best_probability[state->leaf];
    return prediction;
}

static void forget(${name}_state *state, int slot)
{
    state->last_event[slot] = NOT_SEEN;
    state->last_ns[slot] = NOT_SEEN;
    state->last_state[slot] = -1;
}

/* Record the event as the latest of its mark, and forget the event that leaves the window. */
static void record(${name}_state *state, int slot, int32_t end_state)
{
    int8_t *entry = &state->window[state->events % WINDOW];

    if (*entry != UNTRACKED && state->last_event[*entry] == state->events - WINDOW)
        forget(state, *entry);
    *entry = (int8_t)slot;
    if (slot == UNTRACKED)
        return;
    state->last_event[slot] = state->events;
    state->last_ns[slot] = state->now_ns;
    state->last_state[slot] = end_state;
}

${name}_prediction ${name}_init(${name}_state *state)
{
    state->events = 0;
    state->now_ns = 0;
    for (int lag = 0; lag < LAGS; lag++) {
        state->mark[lag] = -1;
        state->slice_ns[lag] = NO_SLICE_NS;
        state->end_state[lag] = -1;
    }
    for (int slot = 0; slot < TRACKED; slot++)
        forget(state, slot);
    for (int event = 0; event < WINDOW; event++)
        state->window[event] = UNTRACKED;
    return predict(state);
}

${name}_prediction ${name}_step(${name}_state *state, const ${name}_event *event)
{
    int32_t mark = known_mark(event->mark);
    int32_t end_state =
        event->end_state >= 0 && event->end_state < END_STATES ? event->end_state : UNKNOWN_STATE;
    int64_t slice_ns = event->slice_ns < 1 ? 1 : event->slice_ns;

    for (int lag = LAGS - 1; lag > 0; lag--) {
        state->mark[lag] = state->mark[lag - 1];
        state->slice_ns[lag] = state->slice_ns[lag - 1];
        state->end_state[lag] = state->end_state[lag - 1];
    }
    state->mark[0] = mark;
    state->slice_ns[0] = slice_ns;
    state->end_state[0] = end_state;
    state->now_ns += slice_ns;
    record(state, tracked_slot[mark], end_state);
    state->events++;
    return predict(state);
}

void ${name}_distribution(const ${name}_state *state, double probability[MARKS])
{
    for (int mark = 0; mark < MARKS; mark++)
        probability[mark] = leaf_probability[state->leaf][mark];
}
