// z, e: dense, layer_norm
extern "C" __global__ void z_e_dense_layer_norm_4(
    const real* z_20, const real* block_1_z_dense2_b, const real* a,
    const real* block_2_a_layer_norm1_gain, const real* block_2_a_layer_norm1_shift, real* z_2,
    real* e_4, real* query_17, real* query_18, real* query_19, long long n)
{
    for (long long row = blockIdx.x; row < 100 * n; row += gridDim.x) {
        real e_15 = 0;  // [n, 100, 1]  transformer.gc:16
        for (long long column = threadIdx.x; column < 32; column += blockDim.x) {
            const long long i = row * 32 + column;
            const real z_21 = z_20[i] + block_1_z_dense2_b[column];
            const real z_2_i = a[i] + z_21;  // [n, 100, 32]  transformer.gc:17
            e_15 += z_2_i;
            z_2[i] = z_2_i;
        }
        e_15 = block_sum(e_15);
        const real e_16 = e_15 / (real)32.0;  // [n, 100, 1]  transformer.gc:16
        real query_14 = 0;  // [n, 100, 1]  transformer.gc:16
        for (long long column = threadIdx.x; column < 32; column += blockDim.x) {
            const long long i = row * 32 + column;
            const real e_4_i = z_2[i] - e_16;  // [n, 100, 32]  transformer.gc:16
            const real query_13 = e_4_i * e_4_i;  // [n, 100, 32]  transformer.gc:16
            query_14 += query_13;
            e_4[i] = e_4_i;
        }
        query_14 = block_sum(query_14);
        const real query_15 = query_14 / (real)32.0;  // [n, 100, 1]  transformer.gc:16
        const real query_16 = query_15 + (real)1e-05;  // [n, 100, 1]  transformer.gc:16
        const real query_17_row = sqrt(query_16);  // [n, 100, 1]  transformer.gc:16
        if (threadIdx.x == 0) {
            query_17[row] = query_17_row;
        }
        for (long long column = threadIdx.x; column < 32; column += blockDim.x) {
            const long long i = row * 32 + column;
            const real query_12 = block_2_a_layer_norm1_gain[column] * e_4[i];
            const real query_18_i = query_12 / query_17_row;  // [n, 100, 32]  transformer.gc:16
            const real query_19_i = query_18_i + block_2_a_layer_norm1_shift[column];
            query_18[i] = query_18_i;
            query_19[i] = query_19_i;
        }
    }
}
