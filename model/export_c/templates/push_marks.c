${name}_prediction ${name}_init(${name}_state *state)
{
    for (int column = 0; column < COLUMNS; column++)
        state->context[column] = MARKS; /* no event yet */
    return predict(state);
}

${name}_prediction ${name}_step(${name}_state *state, const ${name}_event *event)
{
    for (int column = COLUMNS - 1; column > 0; column--)
        state->context[column] = state->context[column - 1];
    state->context[0] = known_mark(event->mark);
    return predict(state);
}
