typedef struct {
    const float *weight;
} matrix;

$matrices

/* output += weights x input; `rows` is a multiple of BLOCK. */
static inline void multiply(const matrix *weights, int rows, const float *input, float *output)
{
    const float *weight = weights->weight;

    for (int block = 0; block < rows; block += BLOCK) {
        float sum[BLOCK];

        for (int row = 0; row < BLOCK; row++)
            sum[row] = output[block + row];
        for (int column = 0; column < HIDDEN; column++, weight += BLOCK)
            for (int row = 0; row < BLOCK; row++)
                sum[row] += weight[row] * input[column];
        for (int row = 0; row < BLOCK; row++)
            output[block + row] = sum[row];
    }
}
