/* What Whisper's encoder and decoder have in common: linear layers with int8 weights, and functions on float32.
 *
 * The inputs of a linear layer become int8 too, with a scale and a centre for each row. All sums are int32, and
 * everything else is computed in float32.
 */

#ifndef VOICE_KERNELS_H
#define VOICE_KERNELS_H

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 16, HEAD_SIZE = 64, MAX_ROWS = 8 };

/* A linear layer. ``weights``: uint8 (outputs / 16, inputs / 4, 16, 4), each weight plus 128. ``scales``, ``sums``,
 * ``bias``: float32 (outputs), the value of a weight of 1, the sum of the weights' values, and what to add; ``bias``
 * may be NULL. ``outputs`` is a multiple of 32, ``inputs`` of 16. A sum of ``inputs`` products is at most
 * inputs * 255 * 128, so int32 suffices up to 65,000 inputs. */
typedef struct {
    const uint8_t *weights;
    const float *scales, *sums, *bias;
    int64_t outputs, inputs;
} Linear;

typedef struct {
    const float *gain, *shift;
} Norm;

/* Rows of int8 numbers. A value is its number times the row's scale, plus the row's centre. ``offsets``: 128 times the
 * sum of each row's numbers, because 128 was added to the weights. */
typedef struct {
    int8_t *numbers;
    float *scales, *centres;
    int32_t *offsets;
} Quantised;

/* The exponential function. ``x``: at most 88; below -87 the result is that of -87 (1.6e-38). x = n * ln(2) + r with a
 * whole n, so |r| <= ln(2) / 2, where the Taylor polynomial of degree 6 has a relative error below 2e-7, before
 * rounding. As in Cephes' expf, ln(2) is the sum of two constants, and n times the first one is exact. */
static inline __m512 exp16(__m512 x)
{
    const __m512 clamped = _mm512_max_ps(x, _mm512_set1_ps(-87.0f));
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(clamped, _mm512_set1_ps(1.44269504f)), 0);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), clamped);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.0f / 720);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

/* The error function, by formula 7.1.26 of Abramowitz and Stegun; its error is below 2e-7. */
static inline __m512 erf16(__m512 x)
{
    const __m512 a = _mm512_abs_ps(x), one = _mm512_set1_ps(1.0f);
    const __m512 t = _mm512_div_ps(one, _mm512_fmadd_ps(a, _mm512_set1_ps(0.3275911f), one));
    __m512 p = _mm512_set1_ps(1.061405429f);
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-1.453152027f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(1.421413741f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0.284496736f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.254829592f));
    const __m512 minus_square = _mm512_sub_ps(_mm512_setzero_ps(), _mm512_mul_ps(a, a));
    const __m512 tail = _mm512_mul_ps(_mm512_mul_ps(p, t), exp16(minus_square));
    const __m512i sign = _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32((int)0x80000000));
    return _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(_mm512_sub_ps(one, tail)), sign));
}

/* Replace each x by x / 2 * (1 + erf(x / sqrt(2))). ``count``: a multiple of 16. */
static inline void gelu(float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i += LANES) {
        const __m512 v = _mm512_loadu_ps(x + i);
        const __m512 e = erf16(_mm512_mul_ps(v, _mm512_set1_ps(0.70710678f)));
        const __m512 half = _mm512_mul_ps(v, _mm512_set1_ps(0.5f));
        _mm512_storeu_ps(x + i, _mm512_mul_ps(half, _mm512_add_ps(e, _mm512_set1_ps(1.0f))));
    }
}

/* Layer normalisation: give each row the mean 0 and the variance 1, then apply gain and shift. ``out`` may be ``x``. */
static inline void normalise(const Norm *norm, const float *x, int64_t rows, int64_t width, float *out)
{
    for (int64_t row = 0; row < rows; row++, x += width, out += width) {
        __m512 total = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
        for (int64_t i = 0; i < width; i += LANES)
            total = _mm512_add_ps(total, _mm512_loadu_ps(x + i));
        const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(total) / width);
        for (int64_t i = 0; i < width; i += LANES) {
            const __m512 d = _mm512_sub_ps(_mm512_loadu_ps(x + i), mean);
            squares = _mm512_fmadd_ps(d, d, squares);
        }
        const __m512 scale = _mm512_set1_ps(1.0f / sqrtf(_mm512_reduce_add_ps(squares) / width + 1e-5f));
        for (int64_t i = 0; i < width; i += LANES) {
            const __m512 d = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(x + i), mean), scale);
            const __m512 gain = _mm512_loadu_ps(norm->gain + i), shift = _mm512_loadu_ps(norm->shift + i);
            _mm512_storeu_ps(out + i, _mm512_fmadd_ps(d, gain, shift));
        }
    }
}

/* Round each row to int8. Its smallest and largest values become about -127 and 127. ``width``: a multiple of 16. */
static inline void quantise(const float *x, int64_t rows, int64_t width, Quantised q)
{
    for (int64_t row = 0; row < rows; row++) {
        const float *from = x + row * width;
        int8_t *to = q.numbers + row * width;
        __m512 max = _mm512_loadu_ps(from), min = max;
        for (int64_t i = LANES; i < width; i += LANES) {
            max = _mm512_max_ps(max, _mm512_loadu_ps(from + i));
            min = _mm512_min_ps(min, _mm512_loadu_ps(from + i));
        }
        const float high = _mm512_reduce_max_ps(max), low = _mm512_reduce_min_ps(min);
        const float reach = (high - low) / 2 > 1e-8f ? (high - low) / 2 : 1e-8f;
        /* Most numbers are near 0. If 0 were not one of the steps, all of these would be rounded in the same
         * direction. */
        const float step = reach / 126.5f, middle = rintf((high + low) / 2 / step) * step;
        const __m512 scale = _mm512_set1_ps(1.0f / step), centre = _mm512_set1_ps(middle);
        __m512i sum = _mm512_setzero_si512();
        for (int64_t i = 0; i < width; i += LANES) {
            const __m512 distance = _mm512_sub_ps(_mm512_loadu_ps(from + i), centre);
            const __m512i n = _mm512_cvtps_epi32(_mm512_mul_ps(distance, scale));
            sum = _mm512_add_epi32(sum, n);
            _mm_storeu_si128((__m128i *)(to + i), _mm512_cvtsepi32_epi8(n));
        }
        q.scales[row] = step;
        q.centres[row] = middle;
        q.offsets[row] = 128 * _mm512_reduce_add_epi32(sum);
    }
}

/* Multiply ``rows`` rows (at most ``MAX_ROWS``) by the weights of 32 outputs from ``n`` on. ``fetches``: whether to
 * fetch the weights of the next 32 outputs into the cache meanwhile. Without that, a step with few rows mostly waits for
 * its weights, because the processor itself only fetches the next few lines. Both must be known when compiled. */
static inline __attribute__((always_inline)) void multiply(
    const Linear *l, int64_t n, Quantised q, const int rows, float *out, int64_t stride, int adds,
    const int fetches)
{
    __m512i sums[MAX_ROWS][2];
    for (int r = 0; r < rows; r++)
        sums[r][0] = sums[r][1] = _mm512_setzero_si512();
    const uint8_t *first = l->weights + n * l->inputs, *second = first + LANES * l->inputs;
    const int64_t next = 2 * LANES * l->inputs;
    for (int64_t k = 0; k < l->inputs; k += 4) {
        const __m512i a = _mm512_loadu_si512(first + k * LANES), b = _mm512_loadu_si512(second + k * LANES);
        if (fetches) { /* beyond the last output, this does nothing */
            _mm_prefetch((const char *)(first + k * LANES + next), _MM_HINT_T1);
            _mm_prefetch((const char *)(second + k * LANES + next), _MM_HINT_T1);
        }
        for (int r = 0; r < rows; r++) {
            int32_t four;
            memcpy(&four, q.numbers + r * l->inputs + k, 4);
            const __m512i x = _mm512_set1_epi32(four);
            sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], a, x);
            sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], b, x);
        }
    }
    for (int half = 0; half < 2; half++) {
        const int64_t at = n + half * LANES;
        const __m512 scales = _mm512_loadu_ps(l->scales + at);
        const __m512 bias = l->bias ? _mm512_loadu_ps(l->bias + at) : _mm512_setzero_ps();
        const __m512 weights = _mm512_loadu_ps(l->sums + at);
        for (int r = 0; r < rows; r++) {
            const __m512 sum = _mm512_cvtepi32_ps(_mm512_sub_epi32(sums[r][half], _mm512_set1_epi32(q.offsets[r])));
            __m512 y = _mm512_fmadd_ps(_mm512_mul_ps(sum, scales), _mm512_set1_ps(q.scales[r]), bias);
            y = _mm512_fmadd_ps(weights, _mm512_set1_ps(q.centres[r]), y);
            float *to = out + r * stride + at;
            if (adds)
                y = _mm512_add_ps(y, _mm512_loadu_ps(to));
            _mm512_storeu_ps(to, y);
        }
    }
}

/* Compute the layer for quantised rows. ``stride``: floats between two rows of ``out``. ``adds``: whether to add the
 * result to what is in ``out``. */
static inline void linear(const Linear *l, Quantised q, int64_t rows, float *out, int64_t stride, int adds)
{
    for (int64_t n = 0; n < l->outputs; n += 2 * LANES)
        for (int64_t r = 0; r < rows; r += MAX_ROWS) {
            const Quantised part = {q.numbers + r * l->inputs, q.scales + r, q.centres + r, q.offsets + r};
            float *to = out + r * stride;
#define CASE(count) \
    case count: \
        r ? multiply(l, n, part, count, to, stride, adds, 0) : multiply(l, n, part, count, to, stride, adds, 1); \
        break;
            switch (rows - r < MAX_ROWS ? rows - r : MAX_ROWS) {
                CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)
            }
#undef CASE
        }
}

/* The lanes of a vector that hold the first ``count`` numbers; all lanes for more than 16. */
static inline __mmask16 lanes_of(int64_t count) { return count < LANES ? (1u << count) - 1 : 0xFFFF; }

/* Turn ``count`` scores (at least one) into probabilities, in place. The scores after them become 0, up to a multiple
 * of 16. The largest score is subtracted first, so that no exponential overflows. */
static inline void softmax(float *scores, int64_t count)
{
    __m512 max = _mm512_set1_ps(-INFINITY), total = _mm512_setzero_ps();
    for (int64_t i = 0; i < count; i += LANES)
        max = _mm512_mask_max_ps(max, lanes_of(count - i), max, _mm512_loadu_ps(scores + i));
    max = _mm512_set1_ps(_mm512_reduce_max_ps(max));
    for (int64_t i = 0; i < count; i += LANES) {
        const __m512 distance = _mm512_sub_ps(_mm512_loadu_ps(scores + i), max);
        const __m512 e = _mm512_maskz_mov_ps(lanes_of(count - i), exp16(distance));
        _mm512_storeu_ps(scores + i, e);
        total = _mm512_add_ps(total, e);
    }
    const __m512 scale = _mm512_set1_ps(1.0f / _mm512_reduce_add_ps(total));
    for (int64_t i = 0; i < count; i += LANES)
        _mm512_storeu_ps(scores + i, _mm512_mul_ps(_mm512_loadu_ps(scores + i), scale));
}

/* Take ``bytes`` of the memory at ``at``, from an address that is a multiple of 64. */
static inline void *allocate(char **at, int64_t bytes)
{
    void *here = *at;
    *at += (bytes + 63) / 64 * 64;
    return here;
}

static inline Quantised allocate_quantised(char **at, int64_t rows, int64_t width)
{
    Quantised q;
    q.numbers = allocate(at, rows * width);
    q.scales = allocate(at, rows * sizeof(float));
    q.centres = allocate(at, rows * sizeof(float));
    q.offsets = allocate(at, rows * sizeof(int32_t));
    return q;
}

#endif
