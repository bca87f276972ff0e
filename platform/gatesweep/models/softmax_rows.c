/* Softmax cross-entropy of some rows of logits, and its gradient in their place, in one pass that stays in the cache.

   z[row] holds V logits, to which b is added where given; a row's target class is t, its gradient is scaled by f:

       x = z + b - max(z + b)       s = sum exp(x)       loss = log s - (1 - a) x_t - a mean(x)
       z = f (exp(x) / s - a / V - (1 - a) [v = t])

   a is the label smoothing. Without f, only the loss is computed. A NaN or +inf among the logits makes the loss NaN,
   as log_softmax does. Sums are kept per block in float and from block to block in double. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define LANES (BYTES / 4)
#define BLOCK 4096

typedef float vf __attribute__((vector_size(BYTES)));
typedef int32_t vi __attribute__((vector_size(BYTES)));
typedef uint32_t vu __attribute__((vector_size(BYTES)));
typedef float vf_any __attribute__((vector_size(BYTES), aligned(4), may_alias));

static inline vf load(const float *p) { return *(const vf_any *)p; }
static inline void store(float *p, vf x) { *(vf_any *)p = x; }
static inline vf all(float x) { return x - (vf){0}; }
static inline vf pick(vi mask, vf yes, vf no) { return (vf)((mask & (vi)yes) | (~mask & (vi)no)); }

/* The last n < LANES values, filled up with -inf, of which exp makes 0. */
static inline vf load_some(const float *p, long n, float fill) {
    vf x = all(fill);
    memcpy(&x, p, n * sizeof(float));
    return x;
}

static inline double sum(vf x) {
    double total = 0;
    for (int k = 0; k < LANES; k++) total += x[k];
    return total;
}

/* exp of x <= 0, below 2^-126 zero, of NaN NaN; within 2 units in the last place. Cody & Waite's reduction with the
   polynomial of Cephes' expf (Moshier 1989). Adding 1.5 * 2^23 rounds to an integer, which then stands in the last bits. */
static inline vf exp_negative(vf x) {
    const float magic = 12582912.0f;
    vf shifted = x * 1.44269504088896341f + magic, n = shifted - magic;
    vf r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    vf p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    vf power = (vf)(((vu)shifted + 127) << 23);
    return pick(x < -87.0f, all(0.0f), p * power);
}

static inline vf shifted_logits(const float *z, const float *b, long v, float max) {
    vf x = load(z + v);
    if (b) x += load(b + v);
    return x - max;
}

static float row_max(const float *z, const float *b, long V) {
    vf most = all(-INFINITY);
    long v = 0;
    for (; v + LANES <= V; v += LANES) {
        vf x = load(z + v);
        if (b) x += load(b + v);
        most = pick(x > most, x, most);
    }
    float max = -INFINITY;
    for (int k = 0; k < LANES; k++) max = most[k] > max ? most[k] : max;
    for (; v < V; v++) {
        float x = b ? z[v] + b[v] : z[v];
        max = x > max ? x : max;
    }
    return max;
}

/* Sums of exp(x) and, where asked for, of x; exp(x) over the logits where `keep`. */
static inline __attribute__((always_inline)) void exponentials(
    float *z, const float *b, long V, float max, int keep, int smooth, double *sum_exp, double *sum_x) {
    *sum_exp = *sum_x = 0;
    long v = 0;
    while (v + LANES <= V) {
        vf block_exp = all(0), block_x = all(0);
        for (long end = v + BLOCK < V ? v + BLOCK : V; v + LANES <= end; v += LANES) {
            vf x = shifted_logits(z, b, v, max), e = exp_negative(x);
            if (smooth) block_x += x;
            block_exp += e;
            if (keep) store(z + v, e);
        }
        *sum_exp += sum(block_exp);
        *sum_x += sum(block_x);
    }
    if (v < V) {
        vf x = load_some(z + v, V - v, -INFINITY);
        if (b) x += load_some(b + v, V - v, 0);
        x -= max;
        vf e = exp_negative(x);
        for (int k = 0; v + k < V; k++) *sum_exp += e[k], *sum_x += x[k];
        if (keep) memcpy(z + v, &e, (V - v) * sizeof(float));
    }
}

static double row(float *z, const float *b, long V, long t, float a, const float *f) {
    float max = row_max(z, b, V);
    double x_t = (b ? z[t] + b[t] : z[t]) - max, sum_exp, sum_x;
    if (f && a > 0) exponentials(z, b, V, max, 1, 1, &sum_exp, &sum_x);
    else if (f) exponentials(z, b, V, max, 1, 0, &sum_exp, &sum_x);
    else exponentials(z, b, V, max, 0, a > 0, &sum_exp, &sum_x);
    if (f) {
        float scale = *f / sum_exp, uniform = *f * a / V;
        for (long v = 0; v < V; v++) z[v] = z[v] * scale - uniform;
        z[t] -= *f * (1 - a);
    }
    return log(sum_exp) - (1 - (double)a) * x_t - (a > 0 ? a * sum_x / V : 0);
}

/* Every row of z, `stride` values apart. f: a factor for each row, or NULL for the losses alone. */
int rows_f32(float *z, long stride, const float *b, const int64_t *t, const float *f, float a, long C, long V,
             float *loss) {
    for (long c = 0; c < C; c++) loss[c] = row(z + c * stride, b, V, t[c], a, f ? f + c : NULL);
    return 0;
}

static float widen(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &wide, sizeof x);
    return x;
}

/* To the nearest bfloat16, ties to even; a NaN stays one. */
static uint16_t narrow(float x) {
    uint32_t wide;
    memcpy(&wide, &x, sizeof x);
    uint32_t rounded = (wide + 0x7fff + ((wide >> 16) & 1)) >> 16;
    return x == x ? rounded : 0x7fc0;
}

/* The same for logits in bfloat16: each row is widened into float, and its gradient rounded once. 1: no memory. */
int rows_bf16(uint16_t *z, long stride, const float *b, const int64_t *t, const float *f, float a, long C, long V,
              float *loss) {
    float *wide = malloc(V * sizeof(float));
    if (!wide) return 1;
    for (long c = 0; c < C; c++) {
        uint16_t *narrow_row = z + c * stride;
        for (long v = 0; v < V; v++) wide[v] = widen(narrow_row[v]);
        loss[c] = row(wide, b, V, t[c], a, f ? f + c : NULL);
        if (f)
            for (long v = 0; v < V; v++) narrow_row[v] = narrow(wide[v]);
    }
    free(wide);
    return 0;
}
