    for (int layer = 1; layer < LAYERS; layer++) {
        memcpy(given, below_bias[layer - 1], sizeof(given));
        multiply(&below_matrix[layer - 1], ROWS, state->memory[layer - 1], given);
        cell(state, layer, given);
    }
