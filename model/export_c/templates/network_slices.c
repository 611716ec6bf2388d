/* Natural logarithm of a number above 0: that of its power of two, plus a series in the rest. */
static double logarithm(int64_t number)
{
    double value = (double)number, ratio, square, series = 0.0;
    uint64_t bits;
    int power;

    memcpy(&bits, &value, sizeof(bits));
    power = (int)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffffULL) | 0x3ff0000000000000ULL;
    memcpy(&value, &bits, sizeof(value));
    if (value > 1.4142135623730951) {
        value *= 0.5;
        power++;
    }
    ratio = (value - 1.0) / (value + 1.0);
    square = ratio * ratio;
    for (int term = 15; term > 0; term -= 2)
        series = series * square + 1.0 / term;
    return power * 0.6931471805599453 + 2.0 * ratio * series;
}

/* Logarithm of the slice in microseconds, in standard deviations from the mean of the training data. */
static float standardised(int64_t slice_ns)
{
    return (float)((logarithm(slice_ns < 1 ? 1 : slice_ns) - 6.907755278982137 - LOG_MEAN) / LOG_DEVIATION);
}

${name}_prediction ${name}_init(${name}_state *state)
{
    memset(state, 0, sizeof(*state));
    advance(state, MARKS, 0, 0.0f); /* no event yet */
    return predict(state);
}

${name}_prediction ${name}_step(${name}_state *state, const ${name}_event *event)
{
    int32_t end_state =
        event->end_state >= 0 && event->end_state < END_STATES ? event->end_state : UNKNOWN_STATE;

    advance(state, known_mark(event->mark), end_state, standardised(event->slice_ns));
    return predict(state);
}
