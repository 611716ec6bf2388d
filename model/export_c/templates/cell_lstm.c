/* One step of a layer. The gates, in order: in, forget, fresh, out. */
static void cell(${name}_state *state, int layer, const float *restrict input)
{
    float gate[ROWS];
    float *restrict memory = state->memory[layer], *restrict cell_state = state->cell_state[layer];

    for (int row = 0; row < ROWS; row++)
        gate[row] = input[row] + hidden_bias[layer][row];
    multiply(&hidden_matrix[layer], ROWS, memory, gate);
    for (int unit = 0; unit < HIDDEN; unit++) {
        float in = sigmoid(gate[unit]), forget = sigmoid(gate[HIDDEN + unit]);
        float fresh = hyperbolic_tangent(gate[2 * HIDDEN + unit]), out = sigmoid(gate[3 * HIDDEN + unit]);

        cell_state[unit] = forget * cell_state[unit] + in * fresh;
        memory[unit] = out * hyperbolic_tangent(cell_state[unit]);
    }
}
