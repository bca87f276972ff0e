/* The time loops of one cell. Before this file stand, generated from the cell's description:

   GATES, STATES, VECTORS, MASKS   how many pre-activations, states, parameters per unit, masks there are
   RECURRENT                       the first pre-activation with a recurrent half; those after it have one too
   PAIRS, PAIR_GATE[], PAIR_STATE[]   the pairs of a pre-activation and a state whose product it reads, ordered by gate
   NORMED                          R s is normalised before it meets W x (Ba et al. 2016, eq. 20)
   STAGED                          the step normalises a value over its units (`cell_norm`)
   PROJECTED                       the output is a product of the step's first state (Sak et al. 2014)
   INNER, INNER_GATE[]             the pre-activations whose recurrent weights read what the step says, not a state
   step_enter, step_inner, step    the step, LANES units at a time
   back_enter, back_middle, back_inner, step_back      its derivative

   A sequence's rows: its step t is row offset[t] + b of every [N, ...] buffer, N = Σ_t running[t]; sequences stand with
   the longest first. State buffers are [B + N, ...]: B rows before the first step, then the rows after each step. Rows
   are a whole number of vectors long, H for units and O for outputs; `units` and `outputs` of them are real.          */

typedef struct {
  long T, B, H, O, units, outputs;
  const long *running, *offset;
  real *G;             /* [N, GATES, H]: W x; then activations; then adjoints of the pre-activations */
  const real *b;       /* [GATES, H] */
  real *states[STATES];
  const real *R;       /* panels of each pair's matrix, one after the other */
  const real *p;       /* [VECTORS, H] */
  const real *m;       /* [N, MASKS, H] */
  real *X;             /* NORMED: [N, GATES - RECURRENT, H]: R s, normalised; then adjoints of R s */
  real *deviation;     /* NORMED: [N], one over the standard deviation of R s */
  const real *gain;    /* NORMED: [GATES - RECURRENT, H] */
  real *Y;             /* PROJECTED: [N, H], what is projected */
  const real *W;       /* PROJECTED: panels of the projection */
  const real *dy;      /* [N, O]: adjoints of the output */
  real *D[STATES];     /* [B, ...]: adjoints of the states after the last step; then of those before the first */
  real *dO;            /* PROJECTED: [N, O], adjoints of the output with what came back through time */
  real *dY;            /* PROJECTED: [B, H], adjoints of what is projected, of one step */
  real *Q;             /* INNER: what the inner products read, [B, INNER, H] of one step; backwards [N, INNER, H] */
  const real *RQ;      /* INNER: panels of each inner product's matrix, one after the other */
  real *dA, *dQ;       /* INNER: [B, INNER, H], adjoints of their pre-activations and of what they read, of one step */
} Loop;

INLINE long state_width(const Loop *z, int k) { return PROJECTED && k == 0 ? z->O : z->H; }
INLINE long state_units(const Loop *z, int k) { return PROJECTED && k == 0 ? z->outputs : z->units; }
INLINE long before(const Loop *z, long t) { return t ? z->B + z->offset[t - 1] : 0; }
INLINE long active(const Loop *z, long t, long first, long last) {
  long n = z->running[t];
  return (n < last ? n : last) - first;
}
INLINE int is_wide(long from, long to) { return to - from > LANES; }

/* Σ f over n runs of `units` numbers, H apart: whole vectors first, then what is left. */
#define OVER_UNITS(total, as_vector, as_number)                                                                        \
  real total = 0;                                                                                                      \
  {                                                                                                                    \
    vec sums = {0};                                                                                                    \
    for (int k = 0; k < n; k++) {                                                                                      \
      long i = k * H;                                                                                                  \
      for (; i + LANES <= k * H + units; i += LANES) sums += (as_vector);                                              \
      for (; i < k * H + units; i++) total += (as_number);                                                             \
    }                                                                                                                  \
    for (int lane = 0; lane < LANES; lane++) total += sums[lane];                                                      \
  }

/* x less its mean and over its standard deviation; returns one over the deviation. */
INLINE real normalise(real *x, int n, long units, long H) {
  OVER_UNITS(sum, load(x + i), x[i])
  real mean = sum / (n * units);
  OVER_UNITS(squares, (load(x + i) - mean) * (load(x + i) - mean), (x[i] - mean) * (x[i] - mean))
  real one_over = 1 / (DOUBLE ? sqrt(squares / (n * units) + 1e-5) : sqrtf(squares / (n * units) + 1e-5f));
  for (int k = 0; k < n; k++) {
    for (long j = 0; j < H; j += LANES) store(x + k * H + j, (load(x + k * H + j) - mean) * one_over);
    for (long j = units; j < H; j++) x[k * H + j] = 0;
  }
  return one_over;
}

/* d: adjoint of the normalised x; becomes that of what was normalised. */
INLINE void normalise_back(real *d, const real *x, real one_over, int n, long units, long H) {
  OVER_UNITS(sum, load(d + i), d[i])
  OVER_UNITS(along, load(d + i) * load(x + i), d[i] * x[i])
  sum /= n * units;
  along /= n * units;
  for (int k = 0; k < n; k++) {
    for (long i = k * H; i < (k + 1) * H; i += LANES)
      store(d + i, (load(d + i) - sum - load(x + i) * along) * one_over);
    for (long j = units; j < H; j++) d[k * H + j] = 0;
  }
}

/* Where one sequence's values of one step stand. */
typedef struct {
  real *g, *n[STATES], *d[STATES];
  const real *s[STATES], *m;
#if INNER
  real *q, *da, *dq;
#endif
} Row;

INLINE Row row_of(const Loop *z, long old, long now, long b, long sequence) {
  Row r;
  r.g = z->G + (now + b) * GATES * z->H;
  r.m = z->m + (now + b) * MASKS * z->H;
  for (int k = 0; k < STATES; k++) {
    long width = state_width(z, k);
    r.s[k] = z->states[k] + (old + b) * width;
    r.n[k] = z->states[k] + (z->B + now + b) * width;
    r.d[k] = z->D[k] + sequence * width;
  }
  if (PROJECTED) r.n[0] = z->Y + (now + b) * z->H;
  return r;
}

/* --- */
/* The pairs' products of one step, columns u..u + 2 LANES, added to rows of `to` that are `width` long. */
INLINE void recurrent(const Loop *z, long rows, long old, long u, real *to, long width, int first) {
  const real *R = z->R;
  for (int q = 0; q < PAIRS; q++) {
    long K = state_units(z, PAIR_STATE[q]), lda = state_width(z, PAIR_STATE[q]);
    product(rows, is_wide(u, z->H), K, z->states[PAIR_STATE[q]] + old * lda, lda, R + u * K,
            to + (PAIR_GATE[q] - first) * z->H + u, width);
    R += K * z->H;
  }
}

static void normed_products(const Loop *z, long rows, long old, long now) {
  const long H = z->H, width = (GATES - RECURRENT) * H;
  memset(z->X + now * width, 0, rows * width * sizeof(real));
  for (long u = 0; u < H; u += 2 * LANES) recurrent(z, rows, old, u, z->X + now * width, width, RECURRENT);
  for (long b = now; b < now + rows; b++) {
    real *x = z->X + b * width, *g = z->G + (b * GATES + RECURRENT) * H;
    z->deviation[b] = normalise(x, GATES - RECURRENT, z->units, H);
    for (long j = 0; j < width; j++) g[j] += z->gain[j] * x[j];
  }
}

#if INNER
/* What the inner products read, and the products, added to the rows of G. */
static void inner_products(const Loop *z, long rows, long old, long now, long first) {
  const long H = z->H;
  for (long b = 0; b < rows; b++) {
    Row r = row_of(z, old, now, b, first + b);
    r.q = z->Q + (first + b) * INNER * H;
    for (long j = 0; j < H; j += LANES) step_inner(r, z->p, H, j);
  }
  for (int k = 0; k < INNER; k++)
    for (long u = 0; u < H; u += 2 * LANES)
      product(rows, is_wide(u, H), z->units, z->Q + (first * INNER + k) * H, INNER * H, z->RQ + (k * H + u) * z->units,
              z->G + (now * GATES + INNER_GATE[k]) * H + u, GATES * H);
}

/* What the inner products read, for the gradient of their matrices, and its adjoints. */
static void inner_products_back(const Loop *z, long rows, long old, long now, long first) {
  const long H = z->H, width = INNER * H;
  for (long b = 0; b < rows; b++) {
    Row r = row_of(z, old, now, b, first + b);
    r.q = z->Q + (now + b) * width;
    r.da = z->dA + (first + b) * width;
    for (long j = 0; j < H; j += LANES) back_inner(r, z->p, H, j);
  }
  memset(z->dQ + first * width, 0, rows * width * sizeof(real));
  for (int k = 0; k < INNER; k++)
    for (long u = 0; u < H; u += 2 * LANES)
      product(rows, is_wide(u, H), z->units, z->dA + first * width + k * H, width, z->RQ + (k * H + u) * z->units,
              z->dQ + first * width + k * H + u, width);
}
#endif

/* W x + b; where only a state is read, b alone. */
INLINE void add_bias(const Loop *z, long rows, long now) {
  const long H = z->H;
  for (real *g = z->G + now * GATES * H, *end = g + rows * GATES * H; g < end; g += GATES * H) {
    for (long j = 0; j < (GATES - RECURRENT) * H; j += LANES) store(g + j, load(g + j) + load(z->b + j));
    for (long j = (GATES - RECURRENT) * H; j < GATES * H; j += LANES) store(g + j, load(z->b + j));
  }
}

/* Sequences first..last, step after step. */
void forward(const Loop *z, long first, long last) {
  const long H = z->H;
  real e[STAGED ? H : 1];
  for (long t = 0; t < z->T; t++) {
    long rows = active(z, t, first, last), now = z->offset[t] + first, old = before(z, t) + first;
    if (rows <= 0) return;
    add_bias(z, rows, now);
    if (NORMED) normed_products(z, rows, old, now);
    const long run = STAGED || INNER ? H : 2 * LANES; /* as long as the pre-activations are in the cache */
    for (long u = 0; u < H; u += run) {
      long end = u + run > H ? H : u + run;
      if (!NORMED)
        for (long v = u; v < end; v += 2 * LANES) recurrent(z, rows, old, v, z->G + now * GATES * H, GATES * H, 0);
#if INNER
      inner_products(z, rows, old, now, first);
#endif
      for (long b = 0; b < rows; b++) {
        Row r = row_of(z, old, now, b, first + b);
#if STAGED
        for (long j = 0; j < H; j += LANES) step_enter(r, e, z->p, H, j);
        normalise(e, 1, z->units, H);
#endif
        for (long j = u; j < end; j += LANES) step(r, e, z->p, H, j);
      }
    }
    if (PROJECTED) {
      real *h = z->states[0] + (z->B + now) * z->O;
      memset(h, 0, rows * z->O * sizeof(real));
      for (long u = 0; u < z->O; u += 2 * LANES)
        product(rows, is_wide(u, z->O), z->units, z->Y + now * H, H, z->W + u * z->units, h + u, z->O);
    }
  }
}

/* Adjoints of the states that the pairs read, from those of the pre-activations (NORMED: of R s). */
INLINE void recurrent_back(const Loop *z, long rows, long first, const real *dg, long width, int from) {
  const real *R = z->R;
  for (int q = 0; q < PAIRS; q++) {
    long N = state_width(z, PAIR_STATE[q]);
    for (long u = 0; u < N; u += 2 * LANES)
      product(rows, is_wide(u, N), z->units, dg + (PAIR_GATE[q] - from) * z->H, width, R + u * z->units,
              z->D[PAIR_STATE[q]] + first * N + u, N);
    R += z->units * N;
  }
}

/* dp: [VECTORS, H], dgain: [GATES - RECURRENT, H]; both are added to. */
void backward(const Loop *z, long first, long last, real *dp, real *dgain) {
  const long H = z->H, O = z->O, width = (GATES - RECURRENT) * H;
  real e[STAGED ? H : 1], a[STAGED ? H : 1];
  for (long t = z->T - 1; t >= 0; t--) {
    long rows = active(z, t, first, last), now = z->offset[t] + first, old = before(z, t) + first;
    if (rows <= 0) continue;
    real *dh = z->D[0] + first * O;
    for (long j = 0; j < rows * O; j += LANES) store(dh + j, load(dh + j) + load(z->dy + now * O + j));
    if (PROJECTED) {
      memcpy(z->dO + now * O, dh, rows * O * sizeof(real));
      memset(z->dY + first * H, 0, rows * H * sizeof(real));
      for (long u = 0; u < H; u += 2 * LANES)
        product(rows, is_wide(u, H), z->outputs, dh, O, z->W + u * z->outputs, z->dY + first * H + u, H);
      memset(dh, 0, rows * O * sizeof(real));
    }
#if INNER
    inner_products_back(z, rows, old, now, first);
#endif
    for (long b = 0; b < rows; b++) {
      Row r = row_of(z, old, now, b, first + b);
#if INNER
      r.dq = z->dQ + (first + b) * INNER * H;
#endif
      if (PROJECTED) r.d[0] = z->dY + (first + b) * H;
#if STAGED
      for (long j = 0; j < H; j += LANES) back_enter(r, e, z->p, H, j);
      real one_over = normalise(e, 1, z->units, H);
      for (long j = 0; j < H; j += LANES) back_middle(r, e, a, z->p, H, j);
      normalise_back(a, e, one_over, 1, z->units, H);
#endif
      for (long j = 0; j < H; j += LANES) step_back(r, e, a, z->p, dp, H, j);
      for (long j = z->units; j < H; j++) /* what is filled up must stay out of every sum */
        for (int k = 0; k < GATES; k++) r.g[k * H + j] = 0;
      if (NORMED) {
        real *x = z->X + (now + b) * width, *dg = r.g + RECURRENT * H, d[width];
        for (long j = 0; j < width; j++) { dgain[j] += dg[j] * x[j]; d[j] = dg[j] * z->gain[j]; }
        normalise_back(d, x, z->deviation[now + b], GATES - RECURRENT, z->units, H);
        memcpy(x, d, sizeof(d));
      }
    }
    if (NORMED) recurrent_back(z, rows, first, z->X + now * width, width, RECURRENT);
    else recurrent_back(z, rows, first, z->G + now * GATES * H, GATES * H, 0);
  }
}
