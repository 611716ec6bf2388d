/*
 * $cell_name of $layers x $hidden. What each mark and end state add to the first layer was computed beforehand; here it
 * is looked up. A matrix is stored in blocks of BLOCK rows, each block column by column, so that the
 * rows of a block are summed side by side. For speed compile with -O3 -march=native -fno-trapping-math; without the
 * last flag, many compilers do not vectorise the gates. Results are the same on every machine with IEEE 754 floats if
 * operations are neither contracted nor reordered: compile with -ffp-contract=off for that, never with -ffast-math.
 */
#include <string.h>

enum {
    HIDDEN = $hidden,
    PAIRS = (HIDDEN + 1) / 2, /* of columns */
    LAYERS = $layers,
    ROWS = $rows,   /* gates x HIDDEN, in whole blocks */
    OUTPUTS = $outputs, /* marks, in whole blocks */
    BLOCK = $block
};

$data

$multiply

/* exp(x) with a relative error below 3e-7: a power of two, times a polynomial in the rest. */
static inline float exponential(float x)
{
    const float to_nearest = 12582912.0f; /* 1.5 * 2^23: adding and subtracting it rounds to a whole number */
    float capped = x > 87.0f ? 87.0f : x;
    float within = capped < -87.0f ? -87.0f : capped; /* two separate comparisons, so that gcc vectorises them */
    float whole = (within * 1.44269504f + to_nearest) - to_nearest;
    float rest = (within - whole * 0.693359375f) + whole * 2.12194440e-4f;
    float series = 1.0f / 720;
    int32_t bits = ((int32_t)whole + 127) * (1 << 23);
    float power;

    series = series * rest + 1.0f / 120;
    series = series * rest + 1.0f / 24;
    series = series * rest + 1.0f / 6;
    series = series * rest + 0.5f;
    series = series * rest + 1.0f;
    series = series * rest + 1.0f;
    memcpy(&power, &bits, sizeof(power));
    return series * power;
}

static inline float sigmoid(float x)
{
    return 1.0f / (1.0f + exponential(-x));
}

static inline float hyperbolic_tangent(float x)
{
    return 1.0f - 2.0f / (1.0f + exponential(2.0f * x));
}

$cell

/* Run the network for one event. */
static void advance(${name}_state *state, $parameters)
{
    float input[ROWS];

    for (int row = 0; row < ROWS; row++)
        input[row] = $looked_up;
    cell(state, 0, input);
$upper_layers    memcpy(state->logit, output_bias, sizeof(output_bias));
    multiply(&output_matrix, OUTPUTS, state->memory[LAYERS - 1], state->logit);
}

/* Write exp(logit - largest logit) of each mark, and their sum; return the mark of the largest. */
static int32_t exponentials(const ${name}_state *state, float weight[MARKS], double *sum)
{
    int32_t best = 0;

    for (int mark = 1; mark < MARKS; mark++)
        best = state->logit[mark] > state->logit[best] ? mark : best;
    for (int mark = 0; mark < MARKS; mark++)
        weight[mark] = exponential(state->logit[mark] - state->logit[best]);
    *sum = 0.0;
    for (int mark = 0; mark < MARKS; mark++)
        *sum += (double)weight[mark];
    return best;
}

static ${name}_prediction predict(const ${name}_state *state)
{
    ${name}_prediction prediction;
    float weight[MARKS];
    double sum;

    prediction.mark = exponentials(state, weight, &sum);
    prediction.probability = (double)weight[prediction.mark] / sum;
    return prediction;
}

void ${name}_distribution(const ${name}_state *state, double probability[MARKS])
{
    float weight[MARKS];
    double sum;

    exponentials(state, weight, &sum);
    for (int mark = 0; mark < MARKS; mark++)
        probability[mark] = (double)weight[mark] / sum;
}

$push
