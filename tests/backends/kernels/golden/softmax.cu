// logits, e, probs: dense, softmax
extern "C" __global__ void logits_e_probs_dense_softmax_2(
    const real* logits_1, const real* logits_dense1_b, real* probs, long long n)
{
    for (long long row = blockIdx.x; row < n; row += gridDim.x) {
        real e_1 = -infinity();  // [n, 1]  digits.gc:14
        for (long long column = threadIdx.x; column < 10; column += blockDim.x) {
            const long long i = row * 10 + column;
            const real logits = logits_1[i] + logits_dense1_b[column];  // [n, 10]  digits.gc:10
            e_1 = maximum(e_1, logits);
        }
        e_1 = block_max(e_1);
        real probs_1 = 0;  // [n, 1]  digits.gc:14
        for (long long column = threadIdx.x; column < 10; column += blockDim.x) {
            const long long i = row * 10 + column;
            const real logits = logits_1[i] + logits_dense1_b[column];  // [n, 10]  digits.gc:10
            const real e_2 = logits - e_1;  // [n, 10]  digits.gc:14
            const real e = exp(e_2);  // [n, 10]  digits.gc:14
            probs_1 += e;
        }
        probs_1 = block_sum(probs_1);
        for (long long column = threadIdx.x; column < 10; column += blockDim.x) {
            const long long i = row * 10 + column;
            const real logits = logits_1[i] + logits_dense1_b[column];  // [n, 10]  digits.gc:10
            const real e_2 = logits - e_1;  // [n, 10]  digits.gc:14
            const real e = exp(e_2);  // [n, 10]  digits.gc:14
            const real probs_i = e / probs_1;  // [n, 10]  digits.gc:14
            probs[i] = probs_i;
        }
    }
}
