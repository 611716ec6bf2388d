typedef struct {
    const float *weight;
} matrix;

$matrices

/* output += matrix x input, `rows` being whole blocks. */
static inline void multiply(const matrix *by, int rows, const float *input, float *output)
{
    const float *weight = by->weight;

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
