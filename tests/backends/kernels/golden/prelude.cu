typedef REAL real;

// The number of this thread among those of all blocks.
__device__ inline long long thread_number()
{
    return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}

// How many threads all blocks have.
__device__ inline long long thread_count()
{
    return (long long)gridDim.x * blockDim.x;
}

// The number that has these bits.
__device__ inline double number_of_bits(unsigned long long bits)
{
    union { unsigned long long bits; double number; } either;
    either.bits = bits;
    return either.number;
}

__device__ inline real infinity()
{
    return (real)number_of_bits(0x7FF0000000000000ULL);
}

__device__ inline real not_a_number()
{
    return (real)number_of_bits(0x7FF8000000000000ULL);
}

// -1, 0 or 1; NaN of NaN.
__device__ inline real sign(real x)
{
    return x > 0 ? (real)1 : x < 0 ? (real)-1 : x == 0 ? (real)0 : x;
}

// The larger of two; NaN if one of them is.
template <typename T> __device__ inline T maximum(T x, T y)
{
    return x > y || x != x ? x : y;
}

// The smaller of two; NaN if one of them is.
template <typename T> __device__ inline T minimum(T x, T y)
{
    return x < y || x != x ? x : y;
}

// x to the power p, by squaring; p is not negative.
__device__ inline long long power_of_int(long long x, long long p)
{
    unsigned long long result = 1, square = (unsigned long long)x;
    for (; p > 0; p /= 2) {
        result *= p % 2 ? square : 1;
        square *= square;
    }
    return (long long)result;
}

// Four words of the generator Philox4x64-10 (Salmon et al., Parallel Random Numbers: As Easy as
// 1, 2, 3; 2011): key (seed, place), counter (block, 0, step, 0).
__device__ inline void philox(unsigned long long seed, unsigned long long place,
                              unsigned long long step, unsigned long long block,
                              unsigned long long* words)
{
    const unsigned long long m0 = 0xD2E7470EE14C6C93ULL, m1 = 0xCA5A826395121157ULL;
    unsigned long long c0 = block, c1 = 0, c2 = step, c3 = 0;
    for (int round = 0; round < 10; ++round) {
        const unsigned long long high0 = __umul64hi(m0, c0), low0 = m0 * c0;
        const unsigned long long high1 = __umul64hi(m1, c2), low1 = m1 * c2;
        c0 = high1 ^ c1 ^ seed;
        c1 = low1;
        c2 = high0 ^ c3 ^ place;
        c3 = low0;
        seed += 0x9E3779B97F4A7C15ULL;
        place += 0xBB67AE8584CAA73BULL;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

// A word of the generator; block b, from 1, holds the words from 4 * (b - 1) on.
__device__ inline unsigned long long draw_word(unsigned long long seed, unsigned long long place,
                                               long long step, long long word)
{
    unsigned long long words[4];
    philox(seed, place, (unsigned long long)step, (unsigned long long)(word / 4 + 1), words);
    const int at = (int)(word % 4);
    return at == 0 ? words[0] : at == 1 ? words[1] : at == 2 ? words[2] : words[3];
}

// 53 bits of a word as a number on [0, 1).
__device__ inline double unit(unsigned long long word)
{
    return (double)(word >> 11) * (1.0 / 9007199254740992.0);
}

// Uniform on [0, 1): as many leading bits of a word as a real holds.
__device__ inline real draw_uniform(unsigned long long seed, unsigned long long place,
                                    long long step, long long index)
{
    const unsigned long long word = draw_word(seed, place, step, index);
    return sizeof(real) == 8 ? (real)unit(word) : (real)(word >> 40) * (real)(1.0 / 16777216.0);
}

// Standard normal (Box and Muller, 1958), of two words, in double precision.
__device__ inline real draw_normal(unsigned long long seed, unsigned long long place,
                                   long long step, long long index)
{
    unsigned long long words[4];
    philox(seed, place, (unsigned long long)step, (unsigned long long)(index / 2 + 1), words);
    const double radius = unit(index % 2 ? words[2] : words[0]);
    const double angle = unit(index % 2 ? words[3] : words[1]);
    return (real)(sqrt(-2.0 * log(1.0 - radius)) * cos(6.283185307179586 * angle));
}

// True with probability p, in steps of 1/65536. A word serves one element of each third of an
// array of that size: v = 16 + u, rounded, whose lowest 48 bits are 16 for each of the three.
__device__ inline bool draw_bernoulli(double p, unsigned long long seed, unsigned long long place,
                                      long long step, long long index, long long size)
{
    const double threshold = rint(p * 65536.0);
    if (!(threshold > 0.0 && threshold < 65536.0)) {
        return threshold > 0.0;
    }
    const long long words = (size + 2) / 3, third = index / words;
    union { double number; unsigned long long bits; } v;
    v.number = 16.0 + unit(draw_word(seed, place, step, index - third * words));
    if (third == 0) {
        return v.number < 16.0 + threshold / 65536.0;
    }
    return ((v.bits >> (third == 1 ? 16 : 0)) & 0xFFFFULL) < (unsigned long long)threshold;
}

// The sum of the numbers of a block's threads, for each of them.
template <typename T> __device__ inline T block_sum(T x)
{
    __shared__ T parts[1024];
    parts[threadIdx.x] = x;
    __syncthreads();
    for (unsigned int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            const T own = parts[threadIdx.x], other = parts[threadIdx.x + half];
            parts[threadIdx.x] = own + other;
        }
        __syncthreads();
    }
    const T result = parts[0];
    __syncthreads();  // the next one writes there
    return result;
}

// The product of the numbers of a block's threads, for each of them.
template <typename T> __device__ inline T block_prod(T x)
{
    __shared__ T parts[1024];
    parts[threadIdx.x] = x;
    __syncthreads();
    for (unsigned int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            const T own = parts[threadIdx.x], other = parts[threadIdx.x + half];
            parts[threadIdx.x] = own * other;
        }
        __syncthreads();
    }
    const T result = parts[0];
    __syncthreads();  // the next one writes there
    return result;
}

// The largest of the numbers of a block's threads, for each of them.
template <typename T> __device__ inline T block_max(T x)
{
    __shared__ T parts[1024];
    parts[threadIdx.x] = x;
    __syncthreads();
    for (unsigned int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            const T own = parts[threadIdx.x], other = parts[threadIdx.x + half];
            parts[threadIdx.x] = maximum(own, other);
        }
        __syncthreads();
    }
    const T result = parts[0];
    __syncthreads();  // the next one writes there
    return result;
}

// The smallest of the numbers of a block's threads, for each of them.
template <typename T> __device__ inline T block_min(T x)
{
    __shared__ T parts[1024];
    parts[threadIdx.x] = x;
    __syncthreads();
    for (unsigned int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            const T own = parts[threadIdx.x], other = parts[threadIdx.x + half];
            parts[threadIdx.x] = minimum(own, other);
        }
        __syncthreads();
    }
    const T result = parts[0];
    __syncthreads();  // the next one writes there
    return result;
}
