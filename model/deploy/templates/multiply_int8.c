typedef struct {
    const int8_t *weight;
    const float *scale; /* of each row, and of the input's fixed point */
} matrix;

$matrices

/* output += matrix x input, `rows` being whole blocks. The input lies within -1 and 1 and is taken in 16 bits. */
static inline void multiply(const matrix *by, int rows, const float *input, float *output)
{
    const int8_t *weight = by->weight;
    int16_t fixed[HIDDEN];

    for (int column = 0; column < HIDDEN; column++)
        fixed[column] = (int16_t)(input[column] * 32767.0f + (input[column] < 0.0f ? -0.5f : 0.5f));
    for (int block = 0; block < rows; block += BLOCK) {
        int32_t sum[BLOCK] = {0};

        for (int column = 0; column < HIDDEN; column++, weight += BLOCK)
            for (int row = 0; row < BLOCK; row++)
                sum[row] += (int32_t)weight[row] * fixed[column];
        for (int row = 0; row < BLOCK; row++)
            output[block + row] += by->scale[block + row] * (float)sum[row];
    }
}
