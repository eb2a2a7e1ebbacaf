// dense, relu, dropout
extern "C" __global__ void dense_relu_dropout_0(
    const real* h_1, const real* h_dense1_b, real* h_2, real* h_5, real* h_6, long long n,
    unsigned long long seed, long long step)
{
    for (long long i = thread_number(); i < 64 * n; i += thread_count()) {
        const long long column = i % 64;
        const real h_2_i = h_1[i] + h_dense1_b[column];  // [n, 64]  digits.gc:9
        const real h_3 = maximum(h_2_i, (real)0.0);  // [n, 64]  digits.gc:9
        const bool h_4 = draw_bernoulli(0.8, seed, 0x4DAD2B2D65B46164ULL, step, i, 64 * n);
        const real h_5_i = h_4 * (real)1.25;  // [n, 64]  digits.gc:24
        const real h_6_i = h_3 * h_5_i;  // [n, 64]  digits.gc:24
        h_2[i] = h_2_i;
        h_5[i] = h_5_i;
        h_6[i] = h_6_i;
    }
}
