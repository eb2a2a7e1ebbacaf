// gradient of ce, logits: cross_entropy
extern "C" __global__ void gradient_of_ce_logits_cross_entropy_7(
    const real* d_ce_3, const long long* y, const real* s_4, const real* s_3, real* d_logits_1,
    double d_ce_1, long long n)
{
    for (long long i = thread_number(); i < 10 * n; i += thread_count()) {
        const long long row = i / 10, column = i % 10;
        const real d_ce_4 = column == y[row] ? d_ce_3[row] : (real)0;  // [n, 10]  digits.gc:12
        const real d_ce_5 = (real)d_ce_1 / s_4[row];  // [n, 1]  digits.gc:12
        const real d_ce = d_ce_5 * s_3[i];  // [n, 10]  digits.gc:12
        const real d_logits_1_i = d_ce_4 + d_ce;  // [n, 10]  digits.gc:12
        d_logits_1[i] = d_logits_1_i;
    }
}
