/* C += A P for a few rows of A and one panel of P: the recurrent product of one time step.

   A panel holds one or two vectors of columns, row after row: P[k][0..width). The sum over k runs in one order, whatever
   the rows, so that a row's result does not depend on its neighbours.                                                  */

INLINE void tile(const int rows, const int wide, long K, const real *A, long lda, const real *P, real *C, long ldc) {
  vec sum[MAX_ROWS][2];
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
    sum[r][0] = load(C + r * ldc);
    if (wide) sum[r][1] = load(C + r * ldc + LANES);
  }
  for (long k = 0; k < K; k++, P += (1 + wide) * LANES) {
    vec left = load(P), right = wide ? load(P + LANES) : left;
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
      vec a = all(A[r * lda + k]);
      sum[r][0] += a * left;
      if (wide) sum[r][1] += a * right;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
    store(C + r * ldc, sum[r][0]);
    if (wide) store(C + r * ldc + LANES, sum[r][1]);
  }
}

#define TILE(r) \
  case r: if (wide) tile(r, 1, K, A, lda, P, C, ldc); else tile(r, 0, K, A, lda, P, C, ldc); break;

static void product(long rows, int wide, long K, const real *A, long lda, const real *P, real *C, long ldc) {
  for (long tiles = (rows + MAX_ROWS - 1) / MAX_ROWS; tiles > 0; tiles--) {
    long r = (rows + tiles - 1) / tiles;
    switch (r) {
      TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#if MAX_ROWS > 6
      TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12) TILE(13) TILE(14)
#endif
    }
    A += r * lda; C += r * ldc; rows -= r;
  }
}

/* Panels of the matrix with elements M[k * by_k + n * by_n], its N columns filled up with zeros to whole vectors. */
void pack(long K, long N, const real *M, long by_k, long by_n, real *out) {
  for (long n = 0; n < N; n += 2 * LANES) {
    long width = N - n > LANES ? 2 * LANES : LANES, there = N - n < width ? N - n : width;
    for (long k0 = 0; k0 < K; k0 += 16) {
      long k1 = k0 + 16 < K ? k0 + 16 : K;
      for (long j = 0; j < there; j++)
        for (long k = k0; k < k1; k++) out[k * width + j] = M[k * by_k + (n + j) * by_n];
      for (long k = k0; k < k1; k++)
        for (long j = there; j < width; j++) out[k * width + j] = 0;
    }
    out += K * width;
  }
}

long lanes(void) { return LANES; }
