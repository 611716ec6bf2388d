/* One step of a layer. The gates, in order: reset, update, fresh. */
static void cell(${name}_state *state, int layer, const float *restrict input)
{
    float carried[ROWS];
    float *restrict memory = state->memory[layer];

    memcpy(carried, hidden_bias[layer], sizeof(carried));
    multiply(&hidden_matrix[layer], ROWS, memory, carried);
    for (int unit = 0; unit < HIDDEN; unit++) {
        float reset = sigmoid(input[unit] + carried[unit]);
        float update = sigmoid(input[HIDDEN + unit] + carried[HIDDEN + unit]);
        float fresh = hyperbolic_tangent(input[2 * HIDDEN + unit] + reset * carried[2 * HIDDEN + unit]);

        memory[unit] = (1.0f - update) * fresh + update * memory[unit];
    }
}
