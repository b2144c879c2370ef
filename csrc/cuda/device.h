// What kernels are written in: the same source is compiled for a GPU and, with GNNLIB_EMU, for the
// emulation on the host.
//
// A kernel is a struct of its arguments with `GNNLIB_DEVICE void operator()() const`. Threads are
// numbered in one dimension. Barriers and shuffles are taken part in by all threads of the block,
// or of the warp: the emulation refuses a kernel where some have returned or wait elsewhere.
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
inline void sync() { emu::block_barrier(); }
inline void sync_warp() { emu::warp_barrier(); }
template <typename T>
inline T shuffle(T value, int from) {
  return emu::shuffle(value, from);
}
inline uint32_t ballot(bool vote) { return emu::ballot(vote); }
template <typename T>
inline T* shared() {
  return static_cast<T*>(emu::shared_memory());
}

inline void lower(int64_t* to, int64_t value) { *to = value < *to ? value : *to; }

#else

GNNLIB_DEVICE void lower(int64_t* to, int64_t value) {  // to = min(to, value), of all threads
  atomicMin(reinterpret_cast<long long*>(to), static_cast<long long>(value));
}
GNNLIB_DEVICE int64_t block() { return blockIdx.x; }
GNNLIB_DEVICE int thread() { return threadIdx.x; }
GNNLIB_DEVICE int threads() { return blockDim.x; }
GNNLIB_DEVICE void sync() { __syncthreads(); }
GNNLIB_DEVICE void sync_warp() { __syncwarp(); }
template <typename T>
GNNLIB_DEVICE T shuffle(T value, int from) {
  return __shfl_sync(0xffffffffu, value, from);
}
GNNLIB_DEVICE uint32_t ballot(bool vote) { return __ballot_sync(0xffffffffu, vote); }
template <typename T>
GNNLIB_DEVICE T* shared() {
  extern __shared__ __align__(16) unsigned char gnnlib_shared[];
  return reinterpret_cast<T*>(gnnlib_shared);
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

// The value of the lane whose number differs in the bits of `mask`.
template <typename T>
GNNLIB_DEVICE T shuffle_xor(T value, int mask) {
  return shuffle(value, lane() ^ mask);
}

// The sum over the lanes of a group of `Lanes` neighbours (a power of two), in all of them.
template <int Lanes, typename T>
GNNLIB_DEVICE T group_sum(T value) {
  for (int step = Lanes / 2; step > 0; step /= 2) value += shuffle_xor(value, step);
  return value;
}
template <int Lanes, typename T>
GNNLIB_DEVICE T group_max(T value) {
  for (int step = Lanes / 2; step > 0; step /= 2) {
    const T other = shuffle_xor(value, step);
    value = other > value ? other : value;
  }
  return value;
}

}  // namespace gnnlib::cuda
