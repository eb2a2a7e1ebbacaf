// logits, s, ce, objective: dense, cross_entropy
extern "C" __global__ void logits_s_ce_objective_dense_cross_6(
    const real* logits_4, const real* logits_dense1_b, const long long* y, real* s_3, real* s_4,
    double* ce_4_partials, long long n)
{
    double ce_4_part = 0;  // scalar  digits.gc:12
    for (long long row = blockIdx.x; row < n; row += gridDim.x) {
        real s_1 = -infinity();  // [n, 1]  digits.gc:12
        real ce_2 = 0;  // [n]  digits.gc:12
        for (long long column = threadIdx.x; column < 10; column += blockDim.x) {
            const long long i = row * 10 + column;
            const real logits = logits_4[i] + logits_dense1_b[column];  // [n, 10]  digits.gc:10
            s_1 = maximum(s_1, logits);
            ce_2 += column == y[row] ? logits : (real)0;
        }
        s_1 = block_max(s_1);
        ce_2 = block_sum(ce_2);
        real s_4_row = 0;  // [n, 1]  digits.gc:12
        for (long long column = threadIdx.x; column < 10; column += blockDim.x) {
            const long long i = row * 10 + column;
            const real logits = logits_4[i] + logits_dense1_b[column];  // [n, 10]  digits.gc:10
            const real s_2 = logits - s_1;  // [n, 10]  digits.gc:12
            const real s_3_i = exp(s_2);  // [n, 10]  digits.gc:12
            s_4_row += s_3_i;
            s_3[i] = s_3_i;
        }
        s_4_row = block_sum(s_4_row);
        const real s_5 = log(s_4_row);  // [n, 1]  digits.gc:12
        const real s = s_5 + s_1;  // [n, 1]  digits.gc:12
        const real ce_3 = s - ce_2;  // [n]  digits.gc:12
        if (threadIdx.x == 0) {
            s_4[row] = s_4_row;
            ce_4_part += ce_3;
        }
    }
    ce_4_part = block_sum(ce_4_part);
    if (threadIdx.x == 0) {
        ce_4_partials[blockIdx.x] = ce_4_part;
    }
}

extern "C" __global__ void logits_s_ce_objective_dense_cross_6_total(
    const real* add_9, real* add_10, const double* ce_4_partials, long long n, long long blocks)
{
    double ce_4_part = 0;
    for (long long block = threadIdx.x; block < blocks; block += blockDim.x) {
        ce_4_part += ce_4_partials[block];
    }
    ce_4_part = block_sum(ce_4_part);
    if (threadIdx.x == 0) {
        const real ce_4 = (real)ce_4_part;  // scalar  digits.gc:12
        const real ce = ce_4 / (real)n;  // scalar  digits.gc:12
        const real add_10_value = ce + add_9[0];  // scalar  digits.gc:25
        add_10[0] = add_10_value;
    }
}
