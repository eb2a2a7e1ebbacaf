// adam{lr = rate * cosine(epoch / epochs)}
extern "C" __global__ void adam(
    const real* weight_decay, const real* g, real* w, real* m, real* v, double w_next_12,
    double w_next_16, long long size, const long long* trouble)
{
    if (trouble[0] >= 0) {
        return;
    }
    for (long long i = thread_number(); i < size; i += thread_count()) {
        const real m_next_1 = (real)0.9 * m[i];  // [size]  optimizers.gc:19
        const real m_next_2 = w[i] * weight_decay[i];  // [size]
        const real m_next_3 = m_next_2 + g[i];  // [size]
        const real m_next = m_next_1 + m_next_3;  // [size]  optimizers.gc:19
        const real w_next_13 = m_next * (real)w_next_12;  // [size]  optimizers.gc:22
        const real v_next_1 = (real)0.999 * v[i];  // [size]  optimizers.gc:20
        const real v_next_2 = m_next_3 * m_next_3;  // [size]  optimizers.gc:20
        const real v_next = v_next_1 + v_next_2;  // [size]  optimizers.gc:20
        const real w_next_14 = sqrt(v_next);  // [size]  optimizers.gc:22
        const real w_next_17 = w_next_14 + (real)w_next_16;  // [size]  optimizers.gc:22
        const real w_next_18 = w_next_13 / w_next_17;  // [size]  optimizers.gc:22
        const real w_next = w[i] - w_next_18;  // [size]  optimizers.gc:22
        m[i] = m_next;
        v[i] = v_next;
        w[i] = w_next;
    }
}
