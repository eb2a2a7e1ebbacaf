// l2
extern "C" __global__ void l2_2(const real* h_dense1_W, double* add_2_partials)
{
    double add_2_part = 0;  // scalar  digits.gc:25
    for (long long i = thread_number(); i < 4096; i += thread_count()) {
        const real add_1 = h_dense1_W[i] * h_dense1_W[i];  // [64, 64]  digits.gc:25
        add_2_part += add_1;
    }
    add_2_part = block_sum(add_2_part);
    if (threadIdx.x == 0) {
        add_2_partials[blockIdx.x] = add_2_part;
    }
}

extern "C" __global__ void l2_2_total(real* add_2, const double* add_2_partials, long long blocks)
{
    double add_2_part = 0;
    for (long long block = threadIdx.x; block < blocks; block += blockDim.x) {
        add_2_part += add_2_partials[block];
    }
    add_2_part = block_sum(add_2_part);
    if (threadIdx.x == 0) {
        const real add_2_value = (real)add_2_part;  // scalar  digits.gc:25
        add_2[0] = add_2_value;
    }
}
