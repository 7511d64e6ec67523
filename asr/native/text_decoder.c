/* One step of Whisper's text decoder, on a CPU with AVX-512 VNNI.
 *
 * CTranslate2 rearranges the decoder's int8 weights for each multiplication, and reads the encoder's output as float32.
 * For a few hypotheses at a time, that takes most of the time. Here, the weights are arranged once, the keys and values
 * of the encoder's output are float16, and each unit (speech segment) keeps its own length, so nothing is padded,
 * copied or reordered between steps.
 *
 * Memory: the caller owns all arrays. ``asr/native/text_decoder.py`` describes them, and checks their sizes. The
 * functions keep no state, so several threads may call them with the same model. They return 0, or -1 if there is not
 * enough memory.
 */

#include "kernels.h"

enum { BLOCK = 64, MAX_QUERIES = 5 };

typedef struct {
    Norm self_norm, cross_norm, feed_norm;
    Linear qkv, self_out, query, key_value, cross_out, feed_in, feed_out;
} Layer;

/* ``width``: size of a hidden state, ``heads`` * 64. ``ffn_size``: size of the feed-forward layer. ``projection``: the
 * output layer, whose weights are also the tokens' embeddings. ``positions``: float32 (positions, width).
 * ``alignment_heads``: pairs of a layer and a head, whose attention tells when a token was spoken. */
typedef struct {
    int64_t layers, heads, width, ffn_size, vocabulary, alignment_head_count;
    const Layer *layer;
    Norm norm;
    Linear projection;
    const float *positions;
    const int32_t *alignment_heads;
} Model;

/* A unit. ``cache``: float32 (layers, 2, slots, width), the keys and values of its tokens. ``keys``: float16 (layers,
 * heads, blocks, 64, 64), that is, 64 numbers for each of 64 frames. ``values``: float16 (layers, heads, frames,
 * 64). */
typedef struct {
    float *cache;
    int64_t slots;
    const uint16_t *keys, *values;
    int64_t frames;
} Unit;

/* Which tokens may come next. ``bias``: float32 (text tokens), what to add to their logits. ``text_tokens``, ``end``:
 * whether text tokens and the end of the text are allowed. ``from``, ``to``: the allowed timestamps, ``to``
 * excluded. */
typedef struct {
    const float *bias;
    int64_t text_tokens, end, from, to;
} Allowed;

/* A token to decode. ``history``: the slots of the unit's cache with the tokens before it, and at last its own.
 * ``allowed``: NULL if the next token is not wanted. ``special``: NULL, or float32 (vocabulary - text_tokens), where to
 * write the log probabilities of all tokens that are not text tokens. */
typedef struct {
    const Unit *unit;
    const int32_t *history;
    int64_t length, token, position;
    const Allowed *allowed;
    float *special;
} Row;

static int64_t blocks_of(int64_t frames) { return (frames + BLOCK - 1) / BLOCK; }

/* Attention of a token to the tokens before it and to itself. ``scores``: room for heads * ``score_stride`` floats. */
static void attend_to_tokens(
    const Model *m, const Row *row, int64_t layer, const float *query, float *out, float *scores, int64_t score_stride)
{
    const float *keys = row->unit->cache + 2 * layer * row->unit->slots * m->width;
    const float *values = keys + row->unit->slots * m->width;
    for (int64_t j = 0; j < row->length; j++) {
        const float *key = keys + row->history[j] * m->width;
        for (int64_t h = 0; h < m->heads; h++) {
            __m512 sum = _mm512_setzero_ps();
            for (int64_t i = h * HEAD_SIZE; i < (h + 1) * HEAD_SIZE; i += LANES)
                sum = _mm512_fmadd_ps(_mm512_loadu_ps(query + i), _mm512_loadu_ps(key + i), sum);
            scores[h * score_stride + j] = _mm512_reduce_add_ps(sum);
        }
    }
    for (int64_t h = 0; h < m->heads; h++) {
        softmax(scores + h * score_stride, row->length);
        __m512 sums[HEAD_SIZE / LANES];
        for (int i = 0; i < HEAD_SIZE / LANES; i++)
            sums[i] = _mm512_setzero_ps();
        for (int64_t j = 0; j < row->length; j++) {
            const float *value = values + row->history[j] * m->width + h * HEAD_SIZE;
            const __m512 p = _mm512_set1_ps(scores[h * score_stride + j]);
            for (int i = 0; i < HEAD_SIZE / LANES; i++)
                sums[i] = _mm512_fmadd_ps(p, _mm512_loadu_ps(value + i * LANES), sums[i]);
        }
        for (int i = 0; i < HEAD_SIZE / LANES; i++)
            _mm512_storeu_ps(out + h * HEAD_SIZE + i * LANES, sums[i]);
    }
}

static __m512 halves(const uint16_t *from) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from)); }

/* Attention of ``count`` tokens (at most ``MAX_QUERIES``, known when compiled) of a unit to its frames, in one head.
 * ``width``: floats between two tokens. ``scores``: room for count * ``score_stride`` floats; holds the probabilities
 * afterwards. */
static inline __attribute__((always_inline)) void attend_to_frames(
    const uint16_t *keys, const uint16_t *values, int64_t frames, const int count, const float *queries, float *out,
    int64_t width, float *scores, int64_t score_stride)
{
    enum { PARTS = BLOCK / LANES };
    for (int64_t block = 0; block < blocks_of(frames); block++) {
        const uint16_t *key = keys + block * HEAD_SIZE * BLOCK;
        __m512 sums[MAX_QUERIES][PARTS];
        for (int r = 0; r < count; r++)
            for (int i = 0; i < PARTS; i++)
                sums[r][i] = _mm512_setzero_ps();
        for (int d = 0; d < HEAD_SIZE; d++, key += BLOCK) {
            __m512 k[PARTS];
            for (int i = 0; i < PARTS; i++)
                k[i] = halves(key + i * LANES);
            for (int r = 0; r < count; r++) {
                const __m512 q = _mm512_set1_ps(queries[r * width + d]);
                for (int i = 0; i < PARTS; i++)
                    sums[r][i] = _mm512_fmadd_ps(q, k[i], sums[r][i]);
            }
        }
        for (int r = 0; r < count; r++)
            for (int i = 0; i < PARTS; i++)
                _mm512_storeu_ps(scores + r * score_stride + block * BLOCK + i * LANES, sums[r][i]);
    }
    for (int r = 0; r < count; r++)
        softmax(scores + r * score_stride, frames);
    __m512 sums[MAX_QUERIES][PARTS];
    for (int r = 0; r < count; r++)
        for (int i = 0; i < PARTS; i++)
            sums[r][i] = _mm512_setzero_ps();
    for (int64_t f = 0; f < frames; f++) {
        __m512 v[PARTS];
        for (int i = 0; i < PARTS; i++)
            v[i] = halves(values + f * HEAD_SIZE + i * LANES);
        for (int r = 0; r < count; r++) {
            const __m512 p = _mm512_set1_ps(scores[r * score_stride + f]);
            for (int i = 0; i < PARTS; i++)
                sums[r][i] = _mm512_fmadd_ps(p, v[i], sums[r][i]);
        }
    }
    for (int r = 0; r < count; r++)
        for (int i = 0; i < PARTS; i++)
            _mm512_storeu_ps(out + r * width + i * LANES, sums[r][i]);
}

/* The same for all heads and any number of tokens. ``alignment``: NULL, or float32 (alignment heads, rows, frames), of
 * which the layer's heads are filled in. */
static void attend_to_unit(
    const Model *m, const Unit *unit, int64_t layer, int64_t rows, const float *queries, float *out, float *scores,
    int64_t score_stride, float *alignment)
{
    for (int64_t h = 0; h < m->heads; h++) {
        const int64_t head = layer * m->heads + h;
        const uint16_t *keys = unit->keys + head * blocks_of(unit->frames) * HEAD_SIZE * BLOCK;
        const uint16_t *values = unit->values + head * unit->frames * HEAD_SIZE;
        for (int64_t r = 0; r < rows; r += MAX_QUERIES) {
            const int64_t count = rows - r < MAX_QUERIES ? rows - r : MAX_QUERIES;
            const float *from = queries + r * m->width + h * HEAD_SIZE;
            float *to = out + r * m->width + h * HEAD_SIZE;
#define CASE(n) \
    case n: \
        attend_to_frames(keys, values, unit->frames, n, from, to, m->width, scores, score_stride); \
        break;
            switch (count) {
                CASE(1) CASE(2) CASE(3) CASE(4) CASE(5)
            }
#undef CASE
            for (int64_t a = 0; alignment && a < m->alignment_head_count; a++)
                if (m->alignment_heads[2 * a] == layer && m->alignment_heads[2 * a + 1] == h)
                    for (int64_t i = 0; i < count; i++) {
                        float *row = alignment + (a * rows + r + i) * unit->frames;
                        memcpy(row, scores + i * score_stride, unit->frames * sizeof(float));
                    }
        }
    }
}

/* Convert 16 floats to float16. Numbers that are too large for it become the largest that it has. As infinity, they
 * would make the attention NaN. */
static __m256i to_halves(const float *from)
{
    const __m512 limit = _mm512_set1_ps(65504.0f), below = _mm512_min_ps(_mm512_loadu_ps(from), limit);
    return _mm512_cvtps_ph(_mm512_max_ps(below, _mm512_set1_ps(-65504.0f)), _MM_FROUND_TO_NEAREST_INT);
}

/* Compute a unit's keys and values for the attention to its frames. ``encoded``: float32 (frames, width). */
int text_decoder_start(const Model *m, const float *encoded, int64_t frames, uint16_t *keys, uint16_t *values)
{
    const int64_t bytes = frames * (m->width * 9 + 12) + 1024;
    char *memory = aligned_alloc(64, (bytes + 63) / 64 * 64), *at = memory;
    if (!memory)
        return -1;
    Quantised q = allocate_quantised(&at, frames, m->width);
    float *both = allocate(&at, frames * 2 * m->width * sizeof(float));
    quantise(encoded, frames, m->width, q);
    for (int64_t layer = 0; layer < m->layers; layer++) {
        linear(&m->layer[layer].key_value, q, frames, both, 2 * m->width, 0);
        for (int64_t h = 0; h < m->heads; h++) {
            uint16_t *k = keys + (layer * m->heads + h) * blocks_of(frames) * HEAD_SIZE * BLOCK;
            uint16_t *v = values + (layer * m->heads + h) * frames * HEAD_SIZE;
            for (int64_t f = 0; f < frames; f++) {
                const float *from = both + f * 2 * m->width + h * HEAD_SIZE;
                uint16_t halved[HEAD_SIZE];
                for (int i = 0; i < HEAD_SIZE; i += LANES) {
                    _mm256_storeu_si256((__m256i *)(halved + i), to_halves(from + i));
                    _mm256_storeu_si256((__m256i *)(v + f * HEAD_SIZE + i), to_halves(from + m->width + i));
                }
                uint16_t *column = k + f / BLOCK * HEAD_SIZE * BLOCK + f % BLOCK;
                for (int d = 0; d < HEAD_SIZE; d++)
                    column[d * BLOCK] = halved[d];
            }
        }
    }
    free(memory);
    return 0;
}

static void embed(const Model *m, const Row *row, float *out)
{
    const Linear *l = &m->projection;
    const uint8_t *weights = l->weights + row->token / LANES * LANES * l->inputs + row->token % LANES * 4;
    for (int64_t i = 0; i < m->width; i++) {
        const int weight = weights[i / 4 * 4 * LANES + i % 4] - 128;
        out[i] = weight * l->scales[row->token] + m->positions[row->position * m->width + i];
    }
}

/* Decode one token of each row. Rows of the same unit are neighbours, and a row may follow an earlier one.
 * ``hidden``: float32 (rows, width), the result. ``alignment``: NULL, or, if all rows belong to one unit, float32
 * (alignment heads, rows, frames), the attention of the alignment heads. */
static int step(const Model *m, int64_t rows, const Row *row, float *hidden, float *alignment)
{
    const int64_t width = m->width;
    int64_t max_length = 0, max_frames = 0;
    for (int64_t r = 0; r < rows; r++) {
        max_length = row[r].length > max_length ? row[r].length : max_length;
        max_frames = row[r].unit->frames > max_frames ? row[r].unit->frames : max_frames;
    }
    const int64_t token_stride = (max_length + LANES) / LANES * LANES, frame_stride = blocks_of(max_frames) * BLOCK;
    const int64_t token_scores = token_stride * m->heads, frame_scores = frame_stride * MAX_QUERIES;
    const int64_t max_scores = token_scores > frame_scores ? token_scores : frame_scores;
    const int64_t max_size = m->ffn_size > width ? m->ffn_size : width;
    const int64_t bytes = rows * (width * 20 + m->ffn_size * 4 + max_size + 12) + max_scores * 4 + 4096;
    char *memory = aligned_alloc(64, (bytes + 63) / 64 * 64), *at = memory;
    if (!memory)
        return -1;
    float *x = allocate(&at, rows * width * 4);
    float *y = allocate(&at, rows * width * 4);
    float *z = allocate(&at, rows * 3 * width * 4);
    float *ffn = allocate(&at, rows * m->ffn_size * 4);
    float *scores = allocate(&at, max_scores * 4);
    Quantised q = allocate_quantised(&at, rows, max_size);

    for (int64_t r = 0; r < rows; r++)
        embed(m, row + r, x + r * width);
    for (int64_t i = 0; i < m->layers; i++) {
        const Layer *l = m->layer + i;
        normalise(&l->self_norm, x, rows, width, y);
        quantise(y, rows, width, q);
        linear(&l->qkv, q, rows, z, 3 * width, 0);
        for (int64_t r = 0; r < rows; r++) {
            const Unit *unit = row[r].unit;
            float *key = unit->cache + (2 * i * unit->slots + row[r].history[row[r].length - 1]) * width;
            memcpy(key, z + (3 * r + 1) * width, width * sizeof(float));
            memcpy(key + unit->slots * width, z + (3 * r + 2) * width, width * sizeof(float));
        }
        for (int64_t r = 0; r < rows; r++)
            attend_to_tokens(m, row + r, i, z + 3 * r * width, y + r * width, scores, token_stride);
        quantise(y, rows, width, q);
        linear(&l->self_out, q, rows, x, width, 1);

        normalise(&l->cross_norm, x, rows, width, y);
        quantise(y, rows, width, q);
        linear(&l->query, q, rows, z, width, 0);
        for (int64_t r = 0, next; r < rows; r = next) {
            for (next = r + 1; next < rows && row[next].unit == row[r].unit; next++)
                ;
            attend_to_unit(m, row[r].unit, i, next - r, z + r * width, y + r * width, scores, frame_stride, alignment);
        }
        quantise(y, rows, width, q);
        linear(&l->cross_out, q, rows, x, width, 1);

        normalise(&l->feed_norm, x, rows, width, y);
        quantise(y, rows, width, q);
        linear(&l->feed_in, q, rows, ffn, m->ffn_size, 0);
        gelu(ffn, rows * m->ffn_size);
        quantise(ffn, rows, m->ffn_size, q);
        linear(&l->feed_out, q, rows, x, width, 1);
    }
    normalise(&m->norm, x, rows, width, hidden);
    free(memory);
    return 0;
}

static __m512 part_of(const float *logits, int64_t i, int64_t count, __mmask16 *inside)
{
    *inside = lanes_of(count - i);
    return _mm512_mask_loadu_ps(_mm512_set1_ps(-INFINITY), *inside, logits + i);
}

/* The logarithm of the sum of the exponentials of the logits. ``max``: receives the largest logit. */
static float log_sum_exp(const float *logits, int64_t count, float *max)
{
    __mmask16 inside;
    __m512 largest = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();
    for (int64_t i = 0; i < count; i += LANES)
        largest = _mm512_max_ps(largest, part_of(logits, i, count, &inside));
    *max = _mm512_reduce_max_ps(largest);
    if (count <= 0 || *max == -INFINITY)
        return -INFINITY;
    for (int64_t i = 0; i < count; i += LANES) {
        const __m512 part = part_of(logits, i, count, &inside);
        sum = _mm512_mask_add_ps(sum, inside, sum, exp16(_mm512_sub_ps(part, _mm512_set1_ps(*max))));
    }
    return *max + logf(_mm512_reduce_add_ps(sum));
}

static float add_logs(float a, float b)
{
    const float larger = a > b ? a : b, smaller = a > b ? b : a;
    return smaller == -INFINITY ? larger : larger + log1pf(expf(smaller - larger));
}

/* The best continuations of one row, in descending order. */
typedef struct {
    int64_t capacity, count;
    float *scores;
    int32_t *ids;
} Best;

static void offer(Best *best, float score, int64_t id)
{
    if (score == -INFINITY || (best->count == best->capacity && score <= best->scores[best->capacity - 1]))
        return;
    int64_t place = best->count < best->capacity ? best->count++ : best->capacity - 1;
    for (; place && best->scores[place - 1] < score; place--) {
        best->scores[place] = best->scores[place - 1];
        best->ids[place] = best->ids[place - 1];
    }
    best->scores[place] = score;
    best->ids[place] = (int32_t)id;
}

static void offer_all(Best *best, const float *logits, int64_t count, int64_t first_id)
{
    for (int64_t i = 0; i < count; i += LANES) {
        __mmask16 inside;
        const float threshold = best->count == best->capacity ? best->scores[best->capacity - 1] : -INFINITY;
        const __m512 part = part_of(logits, i, count, &inside);
        __mmask16 larger = _mm512_cmp_ps_mask(part, _mm512_set1_ps(threshold), _CMP_GT_OQ);
        for (; larger; larger &= larger - 1) {
            const int64_t at = i + __builtin_ctz(larger);
            offer(best, logits[at], first_id + at);
        }
    }
}

/* Find the best continuations among the allowed tokens, and replace their logits by log probabilities among the allowed
 * tokens. If all timestamps together are likelier than every text token, the next token is a timestamp.
 * ``text_tokens``: number of text tokens, whose ids come first; then comes the end of the text. ``timestamp_begin``:
 * the id of the first timestamp. */
static void choose(const Allowed *allowed, float *logits, int64_t text_tokens, int64_t timestamp_begin, Best *best)
{
    const int64_t first = timestamp_begin + allowed->from, timestamps = allowed->to - allowed->from;
    float max_text = -INFINITY, max_timestamp, of_text = -INFINITY;
    float end = allowed->end ? logits[text_tokens] : -INFINITY;
    const float of_timestamps = log_sum_exp(logits + first, timestamps, &max_timestamp);
    if (allowed->text_tokens)
        of_text = log_sum_exp(logits, text_tokens, &max_text);
    const int is_timestamp = of_timestamps > (max_text > end ? max_text : end);
    if (is_timestamp)
        of_text = end = -INFINITY;
    const float all = add_logs(add_logs(of_text, end), of_timestamps);
    if (allowed->text_tokens && !is_timestamp)
        offer_all(best, logits, text_tokens, 0);
    offer(best, end, text_tokens);
    offer_all(best, logits + first, timestamps, first);
    for (int64_t i = 0; i < best->count; i++)
        best->scores[i] -= all;
    for (int64_t i = best->count; i < best->capacity; i++) {
        best->scores[i] = -INFINITY;
        best->ids[i] = -1;
    }
}

/* Compute the logits of the next token for some hidden states, float32 (rows, projection.outputs). ``which``: the
 * rows. */
static int logits_of(const Model *m, const float *hidden, int64_t rows, const int64_t *which, float *logits)
{
    char *memory = aligned_alloc(64, (rows * (m->width * 5 + 12) + 1023) / 64 * 64), *at = memory;
    if (!memory)
        return -1;
    float *chosen = allocate(&at, rows * m->width * sizeof(float));
    for (int64_t r = 0; r < rows; r++)
        memcpy(chosen + r * m->width, hidden + which[r] * m->width, m->width * sizeof(float));
    Quantised q = allocate_quantised(&at, rows, m->width);
    quantise(chosen, rows, m->width, q);
    linear(&m->projection, q, rows, logits, m->projection.outputs, 0);
    free(memory);
    return 0;
}

/* Decode one token of each row, and find the best continuations of each row with ``allowed``. Rows of the same unit are
 * neighbours, and a row may follow an earlier one. ``text_tokens``, ``timestamp_begin``: see ``choose``. ``ids``,
 * ``scores``: the result (rows with ``allowed``, k), in descending order; -1 and minus infinity where fewer tokens are
 * allowed. */
int text_decoder_next(
    const Model *m, int64_t rows, const Row *row, int64_t text_tokens, int64_t timestamp_begin, int64_t k, int32_t *ids,
    float *scores)
{
    int64_t wanted = 0;
    int64_t *which = malloc(rows * sizeof(int64_t));
    float *hidden = malloc(rows * m->width * sizeof(float));
    float *logits = NULL;
    int failed = !which || !hidden;
    for (int64_t r = 0; !failed && r < rows; r++)
        if (row[r].allowed)
            which[wanted++] = r;
    if (!failed) {
        logits = malloc(wanted * m->projection.outputs * sizeof(float));
        failed = !logits || step(m, rows, row, hidden, NULL) || logits_of(m, hidden, wanted, which, logits);
    }
    for (int64_t w = 0; !failed && w < wanted; w++) {
        const Row *one = row + which[w];
        float *of_row = logits + w * m->projection.outputs;
        if (one->special) {
            float max;
            const float all = log_sum_exp(of_row, m->vocabulary, &max);
            for (int64_t i = text_tokens; i < m->vocabulary; i++)
                one->special[i - text_tokens] = of_row[i] - all;
        }
        for (int64_t i = 0; i < text_tokens; i++)
            of_row[i] += one->allowed->bias[i];
        Best best = {k, 0, scores + w * k, ids + w * k};
        choose(one->allowed, of_row, text_tokens, timestamp_begin, &best);
    }
    free(which);
    free(hidden);
    free(logits);
    return failed ? -1 : 0;
}

/* Decode a known text of a unit, after ``start`` tokens of a prompt. ``tokens``: (count), prompt and text.
 * ``attention``: float32 (alignment heads, count, frames), the result, with the attention of the alignment heads.
 * ``scores``: (count - start), the log probability of each token of the text among all text tokens. */
int text_decoder_score_text(
    const Model *m, const Unit *unit, int64_t count, const int32_t *tokens, int64_t start, int64_t text_tokens,
    float *attention, float *scores)
{
    enum { TOGETHER = 16 };
    Row *row = calloc(count, sizeof(Row));
    int32_t *slots = malloc(count * sizeof(int32_t));
    float *hidden = malloc(count * m->width * sizeof(float));
    float *logits = malloc(TOGETHER * m->projection.outputs * sizeof(float));
    int failed = !row || !slots || !hidden || !logits;
    for (int64_t i = 0; !failed && i < count; i++) {
        slots[i] = (int32_t)i;
        row[i] = (Row){unit, slots, i + 1, tokens[i], i, NULL, NULL};
    }
    failed = failed || step(m, count, row, hidden, attention);
    for (int64_t first = start; !failed && first < count; first += TOGETHER) {
        int64_t which[TOGETHER], some = count - first < TOGETHER ? count - first : TOGETHER;
        for (int64_t i = 0; i < some; i++)
            which[i] = first + i - 1; /* the token before says how likely this one is */
        failed = logits_of(m, hidden, some, which, logits);
        for (int64_t i = 0; !failed && i < some; i++) {
            const float *of_row = logits + i * m->projection.outputs;
            float max;
            scores[first - start + i] = of_row[tokens[first + i]] - log_sum_exp(of_row, text_tokens, &max);
        }
    }
    free(row);
    free(slots);
    free(hidden);
    free(logits);
    return failed ? -1 : 0;
}

/* Dynamic time warping: find the cheapest way through ``costs``, float32 (tokens, frames), from the first token and
 * frame to the last ones. ``starts``: (tokens), the first frame of each token on this way. */
int text_decoder_dtw(const float *costs, int64_t tokens, int64_t frames, int32_t *starts)
{
    float *above = malloc((frames + 1) * sizeof(float));
    float *here = malloc((frames + 1) * sizeof(float));
    /* 0: from both before, 1: from the token before, 2: from the frame before */
    uint8_t *came = malloc(tokens * frames);
    const int failed = !above || !here || !came;
    for (int64_t f = 0; !failed && f <= frames; f++)
        above[f] = f ? INFINITY : 0.0f;
    for (int64_t t = 0; !failed && t < tokens; t++) {
        here[0] = INFINITY;
        for (int64_t f = 0; f < frames; f++) {
            const float both = above[f], token = above[f + 1], frame = here[f];
            const uint8_t from = both < token && both < frame ? 0 : token < both && token < frame ? 1 : 2;
            here[f + 1] = costs[t * frames + f] + (from == 0 ? both : from == 1 ? token : frame);
            came[t * frames + f] = from;
        }
        float *const swap = above;
        above = here;
        here = swap;
    }
    for (int64_t t = tokens - 1, f = frames - 1; !failed && t >= 0 && f >= 0;) {
        starts[t] = (int32_t)f;
        const uint8_t from = t == 0 ? 2 : f == 0 ? 1 : came[t * frames + f];
        t -= from != 2;
        f -= from != 1;
    }
    free(above);
    free(here);
    free(came);
    return failed ? -1 : 0;
}

/* The ID of the C files and the compiler's options from which the library was built. ``asr/native/build.py`` defines
 * it. */
#ifndef SOURCE_ID
#define SOURCE_ID ""
#endif

const char *text_decoder_source(void)
{
    return SOURCE_ID;
}
