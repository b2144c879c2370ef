// What kernels are written in: the same source is compiled for a GPU and, with GNNLIB_EMU, for the
// emulation on the host.
//
// A kernel is a struct of its arguments with `GNNLIB_DEVICE void operator()() const`. Threads are
// numbered in one dimension. In a shuffle all lanes of the group take part: the emulation refuses a
// kernel where some have returned. No kernel needs memory or barriers of a whole block.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#ifdef GNNLIB_EMU
#include "emu/machine.h"
#define GNNLIB_DEVICE inline
#else
#include <cuda_runtime.h>
#define GNNLIB_DEVICE __device__ __forceinline__
#endif

namespace gnnlib::cuda {

constexpr int kWarp = 32;

#ifdef GNNLIB_EMU

inline int64_t block() { return emu::block_index(); }
inline int thread() { return emu::thread_index(); }
inline int threads() { return emu::block_size(); }
template <typename T>
inline T shuffle(T value, int from, int group_bits) {
  return emu::shuffle(value, from, group_bits);
}

inline void lower(int64_t* to, int64_t value) { *to = value < *to ? value : *to; }

#else

GNNLIB_DEVICE void lower(int64_t* to, int64_t value) {  // to = min(to, value), of all threads
  atomicMin(reinterpret_cast<long long*>(to), static_cast<long long>(value));
}
GNNLIB_DEVICE int64_t block() { return blockIdx.x; }
GNNLIB_DEVICE int thread() { return threadIdx.x; }
GNNLIB_DEVICE int threads() { return blockDim.x; }
// The value of lane `from` of the warp, among the lanes of one group of 2^group_bits neighbours.
template <typename T>
GNNLIB_DEVICE T shuffle(T value, int from, int group_bits) {
  const int lanes = 1 << group_bits, first = (threadIdx.x % kWarp) & ~(lanes - 1);
  return __shfl_sync((0xffffffffu >> (kWarp - lanes)) << first, value, from);
}

#endif

GNNLIB_DEVICE float exp_of(float x) { return expf(x); }
GNNLIB_DEVICE double exp_of(double x) { return exp(x); }
GNNLIB_DEVICE float log_of(float x) { return logf(x); }
GNNLIB_DEVICE double log_of(double x) { return log(x); }
GNNLIB_DEVICE float sqrt_of(float x) { return sqrtf(x); }
GNNLIB_DEVICE double sqrt_of(double x) { return sqrt(x); }

GNNLIB_DEVICE int lane() { return thread() % kWarp; }
GNNLIB_DEVICE int warp() { return thread() / kWarp; }

}  // namespace gnnlib::cuda
