/* End state and class of length as one value; the classes were equally common in the training data. */
static int32_t end_code(int32_t end_state, int64_t slice_ns)
{
    double slice_us = (double)(slice_ns < 1 ? 1 : slice_ns) / 1e3;
    int32_t length = 0;

    while (length < CLASSES - 1 && class_edge_us[length] < slice_us)
        length++;
    return (end_state >= 0 && end_state < END_STATES ? end_state : UNKNOWN_STATE) * CLASSES + length;
}

${name}_prediction ${name}_init(${name}_state *state)
{
    for (int column = 0; column < COLUMNS; column += 2) {
        state->context[column] = MARKS; /* no event yet */
        state->context[column + 1] = 0;
    }
    return predict(state);
}

${name}_prediction ${name}_step(${name}_state *state, const ${name}_event *event)
{
    for (int column = COLUMNS - 1; column > 1; column--)
        state->context[column] = state->context[column - 2];
    state->context[0] = known_mark(event->mark);
    state->context[1] = end_code(event->end_state, event->slice_ns);
    return predict(state);
}
