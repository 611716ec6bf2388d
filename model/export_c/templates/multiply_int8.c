typedef struct {
    const int8_t *weight; /* in pairs of columns: two weights of a row stand together */
    const float *scale;   /* of each row, and of the input's fixed point */
} matrix;

$matrices

/*
 * Whole numbers are added up, so that every way of doing it gives the same sums. Machines that multiply pairs of 16 bits
 * and add them in one instruction do that for LANES rows at once.
 */
#if defined(__AVX2__)
#include <immintrin.h>
enum { LANES = 8 };
typedef __m256i lanes;
#define OF_PAIR(pair) _mm256_set1_epi32(pair)
#define WEIGHTS(at) _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(at)))
#define ADDED(sum, left, right) _mm256_add_epi32(sum, _mm256_madd_epi16(left, right))
#define KEEP(at, sum) _mm256_storeu_si256((__m256i *)(at), sum)
#elif defined(__SSE2__)
#include <emmintrin.h>
enum { LANES = 4 };
typedef __m128i lanes;
#define OF_PAIR(pair) _mm_set1_epi32(pair)
#define EIGHT(at) _mm_loadl_epi64((const __m128i *)(at))
#define WEIGHTS(at) _mm_srai_epi16(_mm_unpacklo_epi8(EIGHT(at), EIGHT(at)), 8)
#define ADDED(sum, left, right) _mm_add_epi32(sum, _mm_madd_epi16(left, right))
#define KEEP(at, sum) _mm_storeu_si128((__m128i *)(at), sum)
#endif

#ifdef ADDED
/* The sums of 2 x LANES rows; `pair` holds two columns of the input each. */
static inline void add_up(const int8_t *weight, const int32_t *pair, int32_t *sum)
{
    lanes low = OF_PAIR(0), high = OF_PAIR(0);

    for (int two = 0; two < PAIRS; two++, weight += 2 * BLOCK) {
        lanes columns = OF_PAIR(pair[two]);

        low = ADDED(low, WEIGHTS(weight), columns);
        high = ADDED(high, WEIGHTS(weight + 2 * LANES), columns);
    }
    KEEP(sum, low);
    KEEP(sum + LANES, high);
}
#else
enum { LANES = BLOCK / 2 };
static inline void add_up(const int8_t *weight, const int32_t *pair, int32_t *sum)
{
    for (int row = 0; row < BLOCK; row++)
        sum[row] = 0;
    for (int two = 0; two < PAIRS; two++, weight += 2 * BLOCK) {
        int16_t columns[2];

        memcpy(columns, &pair[two], sizeof(columns));
        for (int row = 0; row < BLOCK; row++)
            sum[row] += (int32_t)weight[2 * row] * columns[0] + (int32_t)weight[2 * row + 1] * columns[1];
    }
}
#endif

/* output += matrix x input, `rows` being whole blocks. The input lies within -1 and 1 and is taken in 16 bits. */
static inline void multiply(const matrix *by, int rows, const float *input, float *output)
{
    const float to_nearest = 12582912.0f; /* 1.5 * 2^23: adding it leaves no bits for a fraction */
    const int8_t *weight = by->weight;
    int16_t fixed[2 * PAIRS] = {0};
    int32_t pair[PAIRS], sum[BLOCK];

    for (int column = 0; column < HIDDEN; column++)
        fixed[column] = (int16_t)((input[column] * 32767.0f + to_nearest) - to_nearest);
    memcpy(pair, fixed, sizeof(pair));
    for (int block = 0; block < rows; block += BLOCK, weight += 2 * PAIRS * BLOCK) {
        for (int row = 0; row < BLOCK; row += 2 * LANES)
            add_up(weight + 2 * row, pair, sum + row);
        for (int row = 0; row < BLOCK; row++)
            output[block + row] += by->scale[block + row] * (float)sum[row];
    }
}
