/* Rows of the cross-entropy for valgrind, on heap blocks as long as they must be. Stands after softmax_rows.c. */
#include <stdio.h>

static float *drawn(long n) {
    float *x = malloc(n * sizeof(float));
    for (long k = 0; k < n; k++) x[k] = (float)(k * 37 % 101) / 50 - 1;
    return x;
}

static void look_at(double sum) {
    if (!(sum - sum == 0)) {
        puts("not finite");
        exit(2);
    }
}

static void run(long C, long V, float a, int with_b, int with_f, int bf16) {
    long stride = V + 2, n = (C - 1) * stride + V;
    float *z = drawn(n), *b = with_b ? drawn(V) : NULL, *f = with_f ? drawn(C) : NULL;
    float *loss = malloc(C * sizeof(float));
    uint16_t *narrowed = malloc(n * sizeof(uint16_t));
    int64_t *t = malloc(C * sizeof(int64_t));
    for (long k = 0; k < n; k++) narrowed[k] = narrow(z[k]);
    for (long c = 0; c < C; c++) t[c] = V - 1 - c % V;
    if (bf16 ? rows_bf16(narrowed, stride, b, t, f, a, C, V, loss) : rows_f32(z, stride, b, t, f, a, C, V, loss)) exit(3);
    for (long c = 0; c < C; c++) look_at(loss[c]);
    for (long k = 0; k < n; k++) look_at(bf16 ? widen(narrowed[k]) : z[k]);
    free(z); free(b); free(f); free(loss); free(narrowed); free(t);
}

int main(void) {
    const long sizes[][2] = {{1, 1}, {3, 7}, {2, 8}, {5, 33}, {2, 4101}};
    for (int s = 0; s < 5; s++)
        for (int way = 0; way < 16; way++)
            run(sizes[s][0], sizes[s][1], way & 1 ? 0.1f : 0, way >> 1 & 1, way >> 2 & 1, way >> 3);
    return 0;
}
