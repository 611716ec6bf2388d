typedef struct {
    const int8_t *weight; /* in pairs of columns: two weights of a row are adjacent */
    const float *scale;   /* of each row, times that of the fixed-point input */
} matrix;

$matrices

/*
 * All sums are sums of integers, so every implementation gives the same result. AVX2 and SSE2 multiply and add pairs of
 * 16-bit numbers for LANES rows at once.
 */
#if defined(__AVX2__)
#include <immintrin.h>
enum { LANES = 8 };
typedef __m256i lanes;
#define BROADCAST(pair) _mm256_set1_epi32(pair)
#define LOAD_WEIGHTS(address) _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(address)))
#define MULTIPLY_ADD(sum, left, right) _mm256_add_epi32(sum, _mm256_madd_epi16(left, right))
#define STORE(address, sum) _mm256_storeu_si256((__m256i *)(address), sum)
#elif defined(__SSE2__)
#include <emmintrin.h>
enum { LANES = 4 };
typedef __m128i lanes;
#define BROADCAST(pair) _mm_set1_epi32(pair)
#define LOAD_8(address) _mm_loadl_epi64((const __m128i *)(address))
#define LOAD_WEIGHTS(address) _mm_srai_epi16(_mm_unpacklo_epi8(LOAD_8(address), LOAD_8(address)), 8)
#define MULTIPLY_ADD(sum, left, right) _mm_add_epi32(sum, _mm_madd_epi16(left, right))
#define STORE(address, sum) _mm_storeu_si128((__m128i *)(address), sum)
#endif

#ifdef MULTIPLY_ADD
/* Write the sums of 2 x LANES rows; each element of `pair` holds two columns of the input. */
static inline void sum_rows(const int8_t *weight, const int32_t *pair, int32_t *sum)
{
    lanes low = BROADCAST(0), high = BROADCAST(0);

    for (int index = 0; index < PAIRS; index++, weight += 2 * BLOCK) {
        lanes columns = BROADCAST(pair[index]);

        low = MULTIPLY_ADD(low, LOAD_WEIGHTS(weight), columns);
        high = MULTIPLY_ADD(high, LOAD_WEIGHTS(weight + 2 * LANES), columns);
    }
    STORE(sum, low);
    STORE(sum + LANES, high);
}
#else
enum { LANES = BLOCK / 2 };
static inline void sum_rows(const int8_t *weight, const int32_t *pair, int32_t *sum)
{
    for (int row = 0; row < BLOCK; row++)
        sum[row] = 0;
    for (int index = 0; index < PAIRS; index++, weight += 2 * BLOCK) {
        int16_t columns[2];

        memcpy(columns, &pair[index], sizeof(columns));
        for (int row = 0; row < BLOCK; row++)
            sum[row] += (int32_t)weight[2 * row] * columns[0] + (int32_t)weight[2 * row + 1] * columns[1];
    }
}
#endif

/* output += weights x input; `rows` is a multiple of BLOCK. The input, within -1 and 1, is rounded to 16 bits. */
static inline void multiply(const matrix *weights, int rows, const float *input, float *output)
{
    const float to_nearest = 12582912.0f; /* 1.5 * 2^23: adding and subtracting it rounds to a whole number */
    const int8_t *weight = weights->weight;
    int16_t fixed[2 * PAIRS] = {0};
    int32_t pair[PAIRS], sum[BLOCK];

    for (int column = 0; column < HIDDEN; column++)
        fixed[column] = (int16_t)((input[column] * 32767.0f + to_nearest) - to_nearest);
    memcpy(pair, fixed, sizeof(pair));
    for (int block = 0; block < rows; block += BLOCK, weight += 2 * PAIRS * BLOCK) {
        for (int row = 0; row < BLOCK; row += 2 * LANES)
            sum_rows(weight + 2 * row, pair, sum + row);
        for (int row = 0; row < BLOCK; row++)
            output[block + row] += weights->scale[block + row] * (float)sum[row];
    }
}
