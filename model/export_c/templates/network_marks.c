${name}_prediction ${name}_init(${name}_state *state)
{
    memset(state, 0, sizeof(*state));
    advance(state, MARKS); /* no event yet */
    return predict(state);
}

${name}_prediction ${name}_step(${name}_state *state, const ${name}_event *event)
{
    advance(state, known_mark(event->mark));
    return predict(state);
}
