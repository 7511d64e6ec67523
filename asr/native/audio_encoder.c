/* Whisper's audio encoder, on a CPU with AVX-512 VNNI.
 *
 * Linear layers and convolutions use int8, the attention int16: probabilities need more digits than int8 has, and in
 * int16 two numbers are multiplied in the time of one float32.
 *
 * Memory: the caller owns all arrays (``asr/native/audio_encoder.py``). The function keeps no state, so several threads
 * may call it with the same model.
 */

#include "kernels.h"

/* ``KEY_STEPS``: largest int16 of queries and keys. A score sums 64 products: 64 * 4095^2 ~ 1.07e9.
 * ``VALUE_STEPS``: largest int16 of probabilities and values. A row of probabilities sums to at most
 * 32767 + frames / 2, so a value stays below (32767 + 750) * 32767 ~ 1.1e9. Both fit in int32. */
enum { TILE = 128, PAIRS = HEAD_SIZE / 2, KEY_STEPS = 4095, VALUE_STEPS = 32767 };

typedef struct {
    Norm self_norm, feed_norm;
    Linear qkv, self_out, feed_in, feed_out;
} EncoderLayer;

/* ``mels``: number of features of a frame. ``width``, ``heads``, ``ffn_size``: see ``text_decoder.c``. The convolutions
 * are linear layers whose inputs are three neighbouring frames. ``positions``: float32 (frames / 2, width). */
typedef struct {
    int64_t layers, heads, width, ffn_size, mels;
    const EncoderLayer *layer;
    Linear conv1, conv2;
    Norm norm;
    const float *positions;
} AudioEncoder;

/* Round 16 floats of each of two arrays to int16. The result has pairs of one number of ``low`` and one of ``high``. */
static inline __m512i pairs_of(const float *low, const float *high, __m512 scale)
{
    const __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(low), scale));
    const __m512i b = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(high), scale));
    return _mm512_or_si512(_mm512_and_si512(a, _mm512_set1_epi32(0xFFFF)), _mm512_slli_epi32(b, 16));
}

/* The largest absolute value of a head's numbers. ``from``: the first of ``frames`` rows of 64 numbers. */
static float max_abs(const float *from, int64_t frames, int64_t stride)
{
    __m512 max = _mm512_set1_ps(1e-8f);
    for (int64_t t = 0; t < frames; t++)
        for (int i = 0; i < HEAD_SIZE; i += LANES)
            max = _mm512_max_ps(max, _mm512_abs_ps(_mm512_loadu_ps(from + t * stride + i)));
    return _mm512_reduce_max_ps(max);
}

/* Multiply ``rows`` rows of pairs (at most ``MAX_ROWS``, known when compiled) by 32 columns of ``first`` and
 * ``second``, int16 (pairs, 16, 2) each. ``scales``: what to multiply each row of the result by. */
static inline __attribute__((always_inline)) void multiply_pairs(
    const int32_t *first, const int32_t *second, int64_t pairs, const int32_t *x, int64_t x_stride, const int rows,
    const float *scales, float *out, int64_t stride)
{
    __m512i sums[MAX_ROWS][2];
    for (int r = 0; r < rows; r++)
        sums[r][0] = sums[r][1] = _mm512_setzero_si512();
    for (int64_t k = 0; k < pairs; k++) {
        const __m512i a = _mm512_loadu_si512(first + k * LANES), b = _mm512_loadu_si512(second + k * LANES);
        for (int r = 0; r < rows; r++) {
            const __m512i pair = _mm512_set1_epi32(x[r * x_stride + k]);
            sums[r][0] = _mm512_dpwssd_epi32(sums[r][0], a, pair);
            sums[r][1] = _mm512_dpwssd_epi32(sums[r][1], b, pair);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int half = 0; half < 2; half++)
            _mm512_storeu_ps(out + r * stride + half * LANES,
                             _mm512_mul_ps(_mm512_cvtepi32_ps(sums[r][half]), _mm512_set1_ps(scales[r])));
}

/* Attention of ``rows`` frames (at most ``MAX_ROWS``, known when compiled) to all frames, in one head. ``padded``: the
 * number of frames, rounded up to a multiple of 32. ``scores``: room for rows * padded floats. ``shares``: room for
 * rows * padded / 2 pairs. */
static inline __attribute__((always_inline)) void attend(
    const float *queries, const int rows, int64_t stride, const int32_t *keys, float key_scale, const int32_t *values,
    float value_scale, int64_t frames, int64_t padded, float *scores, int32_t *shares, float *out, int64_t out_stride)
{
    int32_t pairs[MAX_ROWS * PAIRS];
    float scales[MAX_ROWS];
    for (int r = 0; r < rows; r++) {
        const float *query = queries + r * stride, query_max = max_abs(query, 1, 0);
        scales[r] = query_max / KEY_STEPS * key_scale;
        for (int j = 0; j < PAIRS; j += LANES)
            _mm512_storeu_si512(
                pairs + r * PAIRS + j, pairs_of(query + j, query + PAIRS + j, _mm512_set1_ps(KEY_STEPS / query_max)));
    }
    for (int64_t t = 0; t < padded; t += 2 * LANES) {
        const int32_t *key = keys + t * PAIRS;
        multiply_pairs(key, key + LANES * PAIRS, PAIRS, pairs, PAIRS, rows, scales, scores + t, padded);
    }
    for (int r = 0; r < rows; r++) {
        float *row = scores + r * padded;
        softmax(row, frames);
        for (int64_t t = (frames + LANES - 1) / LANES * LANES; t < padded; t++)
            row[t] = 0;
        /* The pairs of shares are those of frames 0 and 16, 1 and 17, and so on, in each 32 frames. */
        for (int64_t t = 0; t < padded; t += 2 * LANES)
            _mm512_storeu_si512(
                shares + r * padded / 2 + t / 2, pairs_of(row + t, row + t + LANES, _mm512_set1_ps(VALUE_STEPS)));
        scales[r] = value_scale / VALUE_STEPS;
    }
    for (int d = 0; d < HEAD_SIZE; d += 2 * LANES) {
        const int32_t *value = values + d / LANES * (padded / 2 * LANES);
        multiply_pairs(
            value, value + padded / 2 * LANES, padded / 2, shares, padded / 2, rows, scales, out + d, out_stride);
    }
}

/* Self-attention. ``z``: float32 (frames, 3 * width), queries, keys and values. ``out``: float32 (frames, width). */
static void attend_to_audio(
    const AudioEncoder *e, const float *z, int64_t frames, int32_t *keys, int32_t *values, float *scores,
    int32_t *shares, float *out)
{
    const int64_t padded = (frames + 31) / 32 * 32, stride = 3 * e->width;
    const __m512i columns = _mm512_mullo_epi32(
        _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi32(LANES));
    for (int64_t h = 0; h < e->heads; h++) {
        const float *query = z + h * HEAD_SIZE, *key = query + e->width, *value = key + e->width;
        const float max_key = max_abs(key, frames, stride), max_value = max_abs(value, frames, stride);
        for (int64_t t = 0; t < padded; t++)
            for (int j = 0; j < PAIRS; j += LANES) {
                const float *from = key + t * stride + j;
                const __m512i both = t < frames ? pairs_of(from, from + PAIRS, _mm512_set1_ps(KEY_STEPS / max_key))
                                                : _mm512_setzero_si512();
                _mm512_i32scatter_epi32(keys + t / LANES * LANES * PAIRS + j * LANES + t % LANES, columns, both, 4);
            }
        for (int64_t t = 0; t < padded; t += 2 * LANES)
            for (int64_t i = 0; i < LANES; i++)
                for (int d = 0; d < HEAD_SIZE; d += LANES) {
                    static const float silence[LANES];
                    const float *low = t + i < frames ? value + (t + i) * stride + d : silence;
                    const float *high = t + i + LANES < frames ? value + (t + i + LANES) * stride + d : silence;
                    _mm512_storeu_si512(values + d / LANES * (padded / 2 * LANES) + (t / 2 + i) * LANES,
                                        pairs_of(low, high, _mm512_set1_ps(VALUE_STEPS / max_value)));
                }
        for (int64_t t = 0; t < frames; t += MAX_ROWS) {
            const float *from = query + t * stride;
            float *to = out + t * e->width + h * HEAD_SIZE;
#define CASE(n) \
    case n: \
        attend(from, n, stride, keys, max_key / KEY_STEPS, values, max_value / VALUE_STEPS, frames, padded, scores, \
               shares, to, e->width); \
        break;
            switch (frames - t < MAX_ROWS ? frames - t : MAX_ROWS) {
                CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)
            }
#undef CASE
        }
    }
}

/* Encode audio features, float32 (mels, 2 * frames). ``out``: float32 (frames, width). */
int audio_encoder_run(const AudioEncoder *e, const float *features, int64_t frames, float *out)
{
    const int64_t width = e->width, padded = (frames + 31) / 32 * 32, rows = 2 * frames + 2;
    const int64_t max_size = e->ffn_size > 3 * width ? e->ffn_size : 3 * width;
    const int64_t max_inputs = max_size > 3 * e->mels ? max_size : 3 * e->mels;
    const int64_t floats = (rows + 4 * frames) * width + TILE * e->ffn_size + rows * 3 * e->mels;
    const int64_t for_attention = 4 * padded * (PAIRS + 2 * LANES + 2 * MAX_ROWS);
    const int64_t for_numbers = rows * (3 * e->mels + 12) + frames * (max_inputs + 12);
    const int64_t bytes = 4 * floats + for_attention + for_numbers + 8192; /* at last, what is lost by rounding to 64 */
    char *memory = aligned_alloc(64, (bytes + 63) / 64 * 64), *at = memory;
    if (!memory)
        return -1;
    float *sound = allocate(&at, rows * width * 4);
    float *z = allocate(&at, 3 * frames * width * 4);
    float *y = allocate(&at, frames * width * 4);
    float *ffn = allocate(&at, TILE * e->ffn_size * 4);
    float *three = allocate(&at, 2 * frames * 3 * e->mels * 4);
    int32_t *keys = allocate(&at, padded * PAIRS * 4);
    int32_t *values = allocate(&at, padded * 2 * LANES * 4);
    float *scores = allocate(&at, padded * MAX_ROWS * 4);
    int32_t *shares = allocate(&at, padded * MAX_ROWS * 2);
    Quantised of_features = allocate_quantised(&at, 2 * frames, 3 * e->mels);
    Quantised q = allocate_quantised(&at, frames, max_inputs);

    for (int64_t t = 0; t < 2 * frames; t++)
        for (int64_t k = 0; k < 3; k++)
            for (int64_t c = 0; c < e->mels; c++) {
                const int64_t from = t + k - 1;
                three[(t * 3 + k) * e->mels + c] = from < 0 || from >= 2 * frames ? 0 : features[c * 2 * frames + from];
            }
    quantise(three, 2 * frames, 3 * e->mels, of_features);
    memset(sound, 0, width * sizeof(float)); /* silence before and after the audio */
    memset(sound + (rows - 1) * width, 0, width * sizeof(float));
    linear(&e->conv1, of_features, 2 * frames, sound + width, width, 0);
    gelu(sound + width, 2 * frames * width);
    for (int64_t t = 0; t < frames; t++) {
        const Quantised row = {q.numbers + t * 3 * width, q.scales + t, q.centres + t, q.offsets + t};
        quantise(sound + 2 * t * width, 1, 3 * width, row);
    }
    float *x = out;
    linear(&e->conv2, q, frames, x, width, 0);
    gelu(x, frames * width);
    for (int64_t i = 0; i < frames * width; i++)
        x[i] += e->positions[i];

    for (int64_t i = 0; i < e->layers; i++) {
        const EncoderLayer *l = e->layer + i;
        normalise(&l->self_norm, x, frames, width, y);
        quantise(y, frames, width, q);
        linear(&l->qkv, q, frames, z, 3 * width, 0);
        attend_to_audio(e, z, frames, keys, values, scores, shares, y);
        quantise(y, frames, width, q);
        linear(&l->self_out, q, frames, x, width, 1);
        for (int64_t t = 0; t < frames; t += TILE) { /* a tile of the feed-forward layer stays in the cache */
            const int64_t count = frames - t < TILE ? frames - t : TILE;
            normalise(&l->feed_norm, x + t * width, count, width, y);
            quantise(y, count, width, q);
            linear(&l->feed_in, q, count, ffn, e->ffn_size, 0);
            gelu(ffn, count * e->ffn_size);
            quantise(ffn, count, e->ffn_size, q);
            linear(&l->feed_out, q, count, x + t * width, width, 1);
        }
    }
    normalise(&e->norm, x, frames, width, x);
    free(memory);
    return 0;
}
