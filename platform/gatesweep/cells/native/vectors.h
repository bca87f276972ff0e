/* One vector of numbers, and the functions that a cell's step is made of.

   Every function passes a NaN through. Exponentials are reduced by x = n ln 2 + r, |r| <= ln 2 / 2, and summed as the
   Taylor series of e^r - 1, long enough for the type. Before this file stand: real, integer, and DOUBLE (0 or 1).      */
#include <math.h>
#include <string.h>

#if defined(__AVX512F__)
#define BYTES 64
#define MAX_ROWS 14 /* rows of a tile: 14 x 2 sums, two columns and one factor fill the 32 registers */
#elif defined(__AVX__)
#define BYTES 32
#define MAX_ROWS 6 /* of 16 registers */
#else
#define BYTES 16
#define MAX_ROWS 6
#endif
#define LANES ((long)(BYTES / sizeof(real)))
#define INLINE static inline __attribute__((always_inline))

typedef real vec __attribute__((vector_size(BYTES)));
typedef integer mask __attribute__((vector_size(BYTES)));

INLINE vec load(const real *p) { vec v; memcpy(&v, p, BYTES); return v; }
INLINE void store(real *p, vec v) { memcpy(p, &v, BYTES); }
INLINE vec all(real x) { return x - (vec){0}; }
INLINE vec pick(mask m, vec a, vec b) { return (vec)((m & (mask)a) | (~m & (mask)b)); }

/* The second argument where it is a NaN. */
#if defined(__AVX__) && !defined(__AVX512F__) /* elsewhere the compiler finds the instruction by itself */
#if DOUBLE
#define MIN __builtin_ia32_minpd256
#define MAX __builtin_ia32_maxpd256
#else
#define MIN __builtin_ia32_minps256
#define MAX __builtin_ia32_maxps256
#endif
INLINE vec at_most(vec bound, vec x) { return (vec)MIN(bound, x); }
INLINE vec at_least(vec bound, vec x) { return (vec)MAX(bound, x); }
#else
INLINE vec at_most(vec bound, vec x) { return pick(bound < x, bound, x); }
INLINE vec at_least(vec bound, vec x) { return pick(bound > x, bound, x); }
#endif

#if DOUBLE
#define MAGIC 6755399441055744.0 /* 1.5 * 2^52: adding it rounds to an integer, which then stands in the low bits */
#define FRACTION 52
#define BIAS 1023
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW 1.90821492927058770002e-10
#define EXP_TOP 709.9
#define EXP_BOTTOM -746.0
#define SIGMOID_END 709.4
#define SATURATED 20.0 /* tanh is 1 beyond it */
#else
#define MAGIC 12582912.0f /* 1.5 * 2^23 */
#define FRACTION 23
#define BIAS 127
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f
#define EXP_TOP 89.0f
#define EXP_BOTTOM -104.0f
#define SIGMOID_END 88.3f
#define SATURATED 10.0f
#endif

INLINE vec power_of_2(mask n) { return (vec)((n + BIAS) << FRACTION); }

/* e^r - 1 and n with x = n ln 2 + r. */
INLINE vec reduced(vec x, mask *n) {
  vec shifted = x * (real)1.44269504088896340736 + (real)MAGIC;
  *n = (mask)shifted - (mask)all((real)MAGIC);
  vec k = shifted - (real)MAGIC, r = x - k * (real)LN2_HIGH - k * (real)LN2_LOW;
#if DOUBLE
  vec p = r * (1 / 6227020800.0) + 1 / 479001600.0;
  p = p * r + 1 / 39916800.0; p = p * r + 1 / 3628800.0; p = p * r + 1 / 362880.0; p = p * r + 1 / 40320.0;
  p = p * r + 1 / 5040.0; p = p * r + 1 / 720.0; p = p * r + 1 / 120.0; p = p * r + 1 / 24.0;
  p = p * r + 1 / 6.0; p = p * r + 0.5;
#else
  vec p = r * (1 / 5040.0f) + 1 / 720.0f;
  p = p * r + 1 / 120.0f; p = p * r + 1 / 24.0f; p = p * r + 1 / 6.0f; p = p * r + 0.5f;
#endif
  return p * r * r + r;
}

INLINE vec exponential(vec x) {
  mask n;
  vec p = reduced(at_least(all((real)EXP_BOTTOM), at_most(all((real)EXP_TOP), x)), &n);
  mask half = n >> 1; /* in two factors, so that neither overflows before the product does */
  return (p + (real)1) * power_of_2(half) * power_of_2(n - half);
}

INLINE vec sigmoid(vec x) {
  mask n; /* at the bounds 2^n is the largest that there is, and 1 / 2^n next to nothing */
  vec p = reduced(at_least(all(-(real)SIGMOID_END), at_most(all((real)SIGMOID_END), -x)), &n);
  return (real)1 / ((real)1 + (p + (real)1) * power_of_2(n));
}

/* -t / (t + 2) with t = e^(-2 |x|) - 1, which keeps its digits near 0. */
INLINE vec tanhyp(vec x) {
  mask n, sign = (mask)all((real)-0.0);
  vec size = at_most(all((real)SATURATED), (vec)((mask)x & ~sign));
  vec p = reduced(size * (real)-2, &n), two_n = power_of_2(n), t = (two_n - (real)1) + two_n * p;
  return (vec)((mask)(-t / (t + (real)2)) | ((mask)x & sign));
}

/* x = 2^e m, 1/√2 <= m < √2: log m = 2 artanh s, s = (m - 1) / (m + 1). Below the normal numbers: as 0. */
INLINE vec logarithm(vec x) {
  const mask root = (mask)all((real)0.70710678118654752440);
  mask above = (mask)x - root, e = above >> FRACTION;
  vec m = (vec)((above & (((integer)1 << FRACTION) - 1)) + root), s = (m - (real)1) / (m + (real)1), q = s * s;
#if DOUBLE
  vec p = q * (1 / 23.0) + 1 / 21.0;
  p = p * q + 1 / 19.0; p = p * q + 1 / 17.0; p = p * q + 1 / 15.0; p = p * q + 1 / 13.0; p = p * q + 1 / 11.0;
  p = p * q + 1 / 9.0;
#else
  vec p = q * (1 / 11.0f) + 1 / 9.0f;
#endif
  p = p * q + (real)(1 / 7.0); p = p * q + (real)(1 / 5.0); p = p * q + (real)(1 / 3.0);
  vec k = __builtin_convertvector(e, vec);
  vec y = k * (real)LN2_HIGH + (k * (real)LN2_LOW + (real)2 * (s + s * q * p));
  y = pick(x < all((real)(DOUBLE ? 2.2250738585072014e-308 : 1.17549435e-38)), all(-(real)INFINITY), y);
  y = pick(x == all((real)INFINITY), x, y);
  return pick(~(x >= (vec){0}), all((real)NAN), y);
}

INLINE vec larger(vec a, vec b) { return pick((a > b) | (a != a), a, b); }
INLINE vec not_below(vec a, vec b) { return pick(a >= b, all((real)1), (vec){0}); }
