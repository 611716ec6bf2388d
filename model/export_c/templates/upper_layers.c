    for (int layer = 1; layer < LAYERS; layer++) {
        memcpy(input, below_bias[layer - 1], sizeof(input));
        multiply(&below_matrix[layer - 1], ROWS, state->memory[layer - 1], input);
        cell(state, layer, input);
    }
