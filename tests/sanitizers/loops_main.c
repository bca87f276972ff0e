/* Runs one kind of loop as unroll.py does, on heap blocks as long as loops.h says and no longer, for valgrind.

   Stands after the loops' own source, with VECTORS and UNWRITTEN before it. What Python hands over unwritten is so here
   too. Whatever Python reads afterwards is looked at: a jump on a value never written is what valgrind reports.
   UNWRITTEN leaves the first states unwritten, to show that it does. */
#include <stdio.h>
#include <stdlib.h>

static long padded(long n) { return (n + LANES - 1) / LANES * LANES; }
static real *fresh(long n) { return malloc(n * sizeof(real)); }

static void draw(real *x, long n) {
  static unsigned seed = 1;
  for (long k = 0; k < n; k++) {
    seed = seed * 1664525u + 1013904223u;
    x[k] = (real)(seed >> 8) / (1 << 24) - (real)0.5;
  }
}

/* Runs of `width` numbers, `real_ones` of them drawn and the rest 0. */
static real *drawn(long runs, long width, long real_ones) {
  real *x = fresh(runs * width);
  for (long r = 0; r < runs; r++) {
    draw(x + r * width, real_ones);
    for (long j = real_ones; j < width; j++) x[r * width + j] = 0;
  }
  return x;
}

static real *matrix(long N, long K) { return drawn(N, K, K); }

static void look_at(const char *what, const real *x, long runs, long width, long read) {
  real sum = 0;
  for (long r = 0; r < runs; r++)
    for (long j = 0; j < read; j++) sum += x[r * width + j];
  if (!(sum - sum == 0)) {
    printf("%s: not finite\n", what);
    exit(2);
  }
}

/* Panels of matrices [N, K] as they stand, or of each one's transpose, appended to `out`. */
static real *append(real *out, const real *M, long N, long K, int transposed) {
  if (transposed) pack(N, K, M, K, 1, out);
  else pack(K, N, M, 1, K, out);
  return out + (transposed ? padded(K) * N : padded(N) * K);
}

static real *pair_panels(const Loop *z, real *const *M, int transposed) {
  long size = 0;
  for (int q = 0; q < PAIRS; q++) {
    long K = state_units(z, PAIR_STATE[q]);
    size += transposed ? padded(K) * z->units : padded(z->units) * K;
  }
  real *panels = fresh(size), *end = panels;
  for (int q = 0; q < PAIRS; q++) end = append(end, M[q], z->units, state_units(z, PAIR_STATE[q]), transposed);
  return panels;
}

static real *single(const real *M, long N, long K, int transposed) {
  real *panels = fresh(transposed ? padded(K) * N : padded(N) * K);
  append(panels, M, N, K, transposed);
  return panels;
}

int main(int count, char **given) {
  if (count != 6) return 3;
  const long T = atol(given[1]), B = atol(given[2]), units = atol(given[3]), ragged = atol(given[5]);
  const long outputs = PROJECTED ? atol(given[4]) : units, H = padded(units), O = padded(outputs), cut = B / 2;
  long *running = malloc(T * sizeof(long)), *offset = malloc(T * sizeof(long)), N = 0;
  for (long t = 0; t < T; t++) {
    running[t] = ragged ? B - t * (B - 1) / T : B;
    offset[t] = N;
    N += running[t];
  }
  const long X = (GATES - RECURRENT) * H;
  Loop z = {.T = T, .B = B, .H = H, .O = O, .units = units, .outputs = outputs, .running = running, .offset = offset};
  z.G = drawn(N * GATES, H, units);
  for (int k = 0; k < STATES; k++) {
    long width = state_width(&z, k);
    z.states[k] = fresh((B + N) * width);
    real *first = drawn(B, width, state_units(&z, k));
    if (!UNWRITTEN) memcpy(z.states[k], first, B * width * sizeof(real));
    z.D[k] = z.states[k];
    free(first);
  }
  real *M[PAIRS + 1];
  for (int q = 0; q < PAIRS; q++) M[q] = matrix(units, state_units(&z, PAIR_STATE[q]));
  z.p = drawn(VECTORS, H, units);
  if (MASKS) z.m = drawn(N * MASKS, H, units);
  z.R = pair_panels(&z, M, 0);
  if (NORMED) {
    z.X = fresh(N * X);
    z.deviation = fresh(N);
    z.gain = drawn(GATES - RECURRENT, H, units);
  }
  real *projection = matrix(outputs, units);
  if (PROJECTED) {
    z.Y = fresh(N * H);
    z.W = single(projection, outputs, units, 0);
  }
#if INNER
  real *inner = matrix(units, units); /* the same for each product */
  z.Q = fresh(B * INNER * H);
  real *inner_panels = fresh(INNER * H * units), *end = inner_panels;
  for (int k = 0; k < INNER; k++) end = append(end, inner, units, units, 0);
  z.RQ = inner_panels;
#endif
  forward(&z, 0, cut); /* as two threads share it */
  forward(&z, cut, B);
  for (int k = 0; k < STATES; k++) look_at("states", z.states[k], B + N, state_width(&z, k), state_units(&z, k));

  free((void *)z.R);
  z.R = pair_panels(&z, M, 1);
  z.dy = drawn(N, O, outputs);
  for (int k = 0; k < STATES; k++) z.D[k] = drawn(B, state_width(&z, k), state_units(&z, k));
  if (PROJECTED) {
    free((void *)z.W);
    z.W = single(projection, outputs, units, 1);
    z.dO = fresh(N * O);
    z.dY = fresh(B * H);
  }
#if INNER
  free(z.Q);
  z.Q = fresh(N * INNER * H);
  end = inner_panels;
  for (int k = 0; k < INNER; k++) end = append(end, inner, units, units, 1);
  z.dA = fresh(B * INNER * H);
  z.dQ = fresh(B * INNER * H);
#endif
  real *dp[2], *dgain[2];
  for (int part = 0; part < 2; part++) {
    dp[part] = drawn(VECTORS, H, 0);
    dgain[part] = drawn(1, X, 0);
    backward(&z, part ? cut : 0, part ? B : cut, dp[part], dgain[part]);
    look_at("dp", dp[part], VECTORS, H, H);
    if (NORMED) look_at("dgain", dgain[part], 1, X, X);
  }
  look_at("dg", z.G, N * GATES, H, H);
  for (int k = 0; k < STATES; k++) look_at("dstates", z.D[k], B, state_width(&z, k), state_width(&z, k));
  if (NORMED) look_at("dRs", z.X, N, X, X);
  if (PROJECTED) look_at("doutput", z.dO, N, O, outputs), look_at("projected", z.Y, N, H, units);
#if INNER
  look_at("what the inner products read", z.Q, N * INNER, H, units);
#endif
  return 0;
}
