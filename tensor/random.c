/* Random numbers from Philox4x32-10, whose rounds come from Random123.

   A fill runs over chunks of CHUNK_BLOCKS blocks. A chunk first makes its words, then turns all of
   them into numbers in loops that the compiler vectorises, and last copies as many as are wanted.
   Only the words, which are whole numbers, are compiled for more than the baseline instruction set:
   FMA would round differently, and the same seed would give other weights on another machine. */
#include <cerebra/random.h>

#include "tensor/math.h"
#include "tensor/multiversion.h"
#include "tensor/parallel.h"

#include <Random123/philox.h>
#include <stdlib.h>

enum { CHUNK_BLOCKS = 64, CHUNK_WORDS = 4 * CHUNK_BLOCKS, CHUNKS_PER_THREAD = 64 };

static philox4x32_ctr_t philox_block(uint64_t key, uint64_t counter, uint64_t stream) {
    philox4x32_ctr_t words = {
        {(uint32_t)counter, (uint32_t)(counter >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)}};
    philox4x32_key_t keys = {{(uint32_t)key, (uint32_t)(key >> 32)}};
    return philox4x32_R(10, words, keys);
}

static uint64_t join(uint32_t low, uint32_t high) {
    return (uint64_t)high << 32 | low;
}

cb_random cb_random_seed(uint64_t seed) {
    return (cb_random){.key = seed, .counter = 0};
}

cb_random cb_random_split(cb_random *random, uint64_t stream) {
    philox4x32_ctr_t block = philox_block(random->key, random->counter++, stream);
    return (cb_random){.key = join(block.v[0], block.v[1]), .counter = 0};
}

uint64_t cb_random_u64(cb_random *random) {
    philox4x32_ctr_t block = philox_block(random->key, random->counter++, 0);
    return join(block.v[0], block.v[1]);
}

uint64_t cb_random_below(cb_random *random, uint64_t n) {
    if (n == 0)
        return 0;
    uint64_t incomplete = (0 - n) % n; /* 2^64 mod n */
    uint64_t draw;
    do {
        draw = cb_random_u64(random);
    } while (draw < incomplete);
    return draw % n;
}

/* ---- fills ---- */

typedef union chunk_output {
    float f32[CHUNK_WORDS];
    double f64[CHUNK_WORDS];
} chunk_output;

/* The words of CHUNK_BLOCKS blocks: the rounds of philox_block, on all of them at once, each of the
   four words in a row of its own. */
CBI_MULTIVERSION static void philox_chunk(uint64_t key, uint64_t counter, uint32_t *words) {
    uint32_t c[4][CHUNK_BLOCKS];
    uint32_t key_0 = (uint32_t)key, key_1 = (uint32_t)(key >> 32);
    for (uint32_t i = 0; i < CHUNK_BLOCKS; i++) {
        c[0][i] = (uint32_t)(counter + i);
        c[1][i] = (uint32_t)((counter + i) >> 32);
        c[2][i] = c[3][i] = 0;
    }
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < CHUNK_BLOCKS; i++) {
            uint64_t product_0 = (uint64_t)PHILOX_M4x32_0 * c[0][i];
            uint64_t product_1 = (uint64_t)PHILOX_M4x32_1 * c[2][i];
            c[0][i] = (uint32_t)(product_1 >> 32) ^ c[1][i] ^ key_0;
            c[1][i] = (uint32_t)product_1;
            c[2][i] = (uint32_t)(product_0 >> 32) ^ c[3][i] ^ key_1;
            c[3][i] = (uint32_t)product_0;
        }
        key_0 += PHILOX_W32_0;
        key_1 += PHILOX_W32_1;
    }
    for (int i = 0; i < CHUNK_BLOCKS; i++)
        for (int k = 0; k < 4; k++)
            words[4 * i + k] = c[k][i];
}

/* What a fill does, and the two numbers it takes: low and high, mean and stddev, or p. */
typedef struct fill {
    void (*convert)(const struct fill *fill, const uint32_t *words, chunk_output *out);
    double first, second;
    int64_t chunk_elements;
    size_t element_size;
    cb_random random;
    int64_t n;
    char *out;
} fill;

static void fill_chunks(void *context, int64_t begin, int64_t end) {
    const fill *f = context;
    for (int64_t chunk = begin; chunk < end; chunk++) {
        uint32_t words[CHUNK_WORDS];
        chunk_output numbers;
        philox_chunk(f->random.key, f->random.counter + (uint64_t)chunk * CHUNK_BLOCKS, words);
        f->convert(f, words, &numbers);
        int64_t done = chunk * f->chunk_elements;
        int64_t count = f->n - done < f->chunk_elements ? f->n - done : f->chunk_elements;
        memcpy(f->out + (size_t)done * f->element_size, &numbers, (size_t)count * f->element_size);
    }
}

static void run_fill(fill *f, cb_random *random) {
    if (f->n <= 0)
        return;
    f->random = *random;
    int64_t chunks = (f->n - 1) / f->chunk_elements + 1;
    cbi_parallel_for(chunks, CHUNKS_PER_THREAD, fill_chunks, f);
    int64_t block_elements = f->chunk_elements / CHUNK_BLOCKS;
    random->counter += (uint64_t)((f->n - 1) / block_elements + 1);
}

/* In double precision, where neither high - low nor the product overflows or loses bits of a float.
 */
static void convert_uniform_f32(const fill *f, const uint32_t *words, chunk_output *out) {
    float low = (float)f->first, high = (float)f->second;
    float last = low < high ? nextafterf(high, low) : low;
    double range = f->second - f->first;
    for (int i = 0; i < CHUNK_WORDS; i++) {
        float y = (float)(f->first + range * ((double)words[i] * 0x1p-32));
        out->f32[i] = y > last ? last : y;
    }
}

void cb_random_uniform_f32(cb_random *random, int64_t n, float *out, float low, float high) {
    fill f = {.convert = convert_uniform_f32,
              .first = (double)low,
              .second = (double)high,
              .chunk_elements = CHUNK_WORDS,
              .element_size = sizeof *out,
              .n = n,
              .out = (char *)out};
    run_fill(&f, random);
}

/* (1 - u) low + u high rather than low + u (high - low), whose difference can overflow; it may
 * round to just below low. */
static void convert_uniform_f64(const fill *f, const uint32_t *words, chunk_output *out) {
    double low = f->first, high = f->second;
    double last = low < high ? nextafter(high, low) : low;
    for (int i = 0; i < CHUNK_WORDS / 2; i++) {
        double u = (double)(join(words[2 * i], words[2 * i + 1]) >> 11) * 0x1p-53;
        double y = (1.0 - u) * low + u * high;
        y = y < low ? low : y;
        out->f64[i] = y > last ? last : y;
    }
}

void cb_random_uniform_f64(cb_random *random, int64_t n, double *out, double low, double high) {
    fill f = {.convert = convert_uniform_f64,
              .first = low,
              .second = high,
              .chunk_elements = CHUNK_WORDS / 2,
              .element_size = sizeof *out,
              .n = n,
              .out = (char *)out};
    run_fill(&f, random);
}

/* u = (word + 1/2) 2^-32 is never 0; rounded to a float it may be 1, which is harmless. The angle
   is taken in [-pi, pi), where the float steps are finest around 0. */
static void convert_normal_f32(const fill *f, const uint32_t *words, chunk_output *out) {
    float mean = (float)f->first, stddev = (float)f->second;
    for (int i = 0; i < CHUNK_WORDS / 2; i++) {
        float u = (float)(((double)words[2 * i] + 0.5) * 0x1p-32);
        float angle = (float)(int32_t)words[2 * i + 1] * (float)(0x1.921fb54442d18p+1 * 0x1p-31);
        float radius = sqrtf(-2.0f * cbi_log_f32(u)) * stddev;
        out->f32[2 * i] = mean + radius * cbi_cos_f32(angle);
        out->f32[2 * i + 1] = mean + radius * cbi_sin_f32(angle);
    }
}

void cb_random_normal_f32(cb_random *random, int64_t n, float *out, float mean, float stddev) {
    fill f = {.convert = convert_normal_f32,
              .first = (double)mean,
              .second = (double)stddev,
              .chunk_elements = CHUNK_WORDS,
              .element_size = sizeof *out,
              .n = n,
              .out = (char *)out};
    run_fill(&f, random);
}

static void convert_normal_f64(const fill *f, const uint32_t *words, chunk_output *out) {
    for (int i = 0; i < CHUNK_BLOCKS; i++) {
        const uint32_t *block = words + 4 * i;
        double u = (double)((join(block[0], block[1]) >> 11) + 1) * 0x1p-53;
        double v = (double)(join(block[2], block[3]) >> 11) * 0x1p-53;
        double radius = sqrt(-2.0 * cbi_log_f64(u)) * f->second;
        out->f64[2 * i] = f->first + radius * cos(0x1.921fb54442d18p+2 * v);
        out->f64[2 * i + 1] = f->first + radius * sin(0x1.921fb54442d18p+2 * v);
    }
}

void cb_random_normal_f64(cb_random *random, int64_t n, double *out, double mean, double stddev) {
    fill f = {.convert = convert_normal_f64,
              .first = mean,
              .second = stddev,
              .chunk_elements = CHUNK_WORDS / 2,
              .element_size = sizeof *out,
              .n = n,
              .out = (char *)out};
    run_fill(&f, random);
}

/* word < threshold, for threshold = p 2^32, compared as whole numbers: `all` where that is 2^32 or
   more. */
typedef struct bernoulli {
    uint32_t threshold;
    bool all;
} bernoulli;

/* NaN counts as 0. */
static bernoulli bernoulli_of(const fill *f) {
    bool all = f->first >= 0x1p32;
    return (bernoulli){f->first > 0 && !all ? (uint32_t)f->first : 0, all};
}

CBI_MULTIVERSION static void compare_f32(bernoulli b, const uint32_t *words, float *out) {
    for (int i = 0; i < CHUNK_WORDS; i++)
        out[i] = words[i] < b.threshold || b.all ? 1.0f : 0.0f;
}

CBI_MULTIVERSION static void compare_f64(bernoulli b, const uint32_t *words, double *out) {
    for (int i = 0; i < CHUNK_WORDS; i++)
        out[i] = words[i] < b.threshold || b.all ? 1.0 : 0.0;
}

static void convert_bernoulli_f32(const fill *f, const uint32_t *words, chunk_output *out) {
    compare_f32(bernoulli_of(f), words, out->f32);
}

static void convert_bernoulli_f64(const fill *f, const uint32_t *words, chunk_output *out) {
    compare_f64(bernoulli_of(f), words, out->f64);
}

void cb_random_bernoulli_f32(cb_random *random, int64_t n, float *out, double p) {
    fill f = {.convert = convert_bernoulli_f32,
              .first = rint(p * 0x1p32),
              .chunk_elements = CHUNK_WORDS,
              .element_size = sizeof *out,
              .n = n,
              .out = (char *)out};
    run_fill(&f, random);
}

void cb_random_bernoulli_f64(cb_random *random, int64_t n, double *out, double p) {
    fill f = {.convert = convert_bernoulli_f64,
              .first = rint(p * 0x1p32),
              .chunk_elements = CHUNK_WORDS,
              .element_size = sizeof *out,
              .n = n,
              .out = (char *)out};
    run_fill(&f, random);
}

/* ---- permutations and choices ---- */

static void shuffle(cb_random *random, int64_t n, int64_t *items) {
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)cb_random_below(random, (uint64_t)i + 1);
        int64_t item = items[i];
        items[i] = items[j];
        items[j] = item;
    }
}

void cb_random_permutation(cb_random *random, int64_t n, int64_t *out) {
    for (int64_t i = 0; i < n; i++)
        out[i] = i;
    shuffle(random, n, out);
}

/* A set of integers >= 0 by open addressing, a power of two of slots, -1 an empty one. Multiplying
   by 2^64 / golden ratio spreads neighbours (Knuth, volume 3, section 6.4). False if it was there.
 */
static bool insert(int64_t *slots, unsigned log2_slots, int64_t item) {
    uint64_t mask = ((uint64_t)1 << log2_slots) - 1;
    uint64_t i = ((uint64_t)item * 0x9e3779b97f4a7c15u) >> (64 - log2_slots);
    for (; slots[i] != -1; i = (i + 1) & mask)
        if (slots[i] == item)
            return false;
    slots[i] = item;
    return true;
}

/* Floyd's algorithm (Bentley and Floyd, "A sample of brilliance", CACM 30(9), 1987): for j from n-k
   to n-1, take a random t <= j, or j itself if t is taken already. */
bool cb_random_choice(cb_random *random, int64_t n, int64_t k, int64_t *out) {
    if (k < 0 || n < k || k > INT64_MAX / 64)
        return false;
    unsigned log2_slots = 1;
    while ((int64_t)1 << log2_slots < 2 * k)
        log2_slots++;
    size_t count = (size_t)1 << log2_slots;
    if (count > SIZE_MAX / sizeof(int64_t))
        return false;
    int64_t *slots = malloc(count * sizeof *slots);
    if (slots == NULL)
        return false;
    memset(slots, 0xff, count * sizeof *slots); /* -1 in every slot */
    for (int64_t i = 0; i < k; i++) {
        int64_t j = n - k + i;
        int64_t t = (int64_t)cb_random_below(random, (uint64_t)j + 1);
        out[i] = insert(slots, log2_slots, t) ? t : j;
        if (out[i] == j && t != j)
            insert(slots, log2_slots, j);
    }
    free(slots);
    shuffle(random, k, out);
    return true;
}
