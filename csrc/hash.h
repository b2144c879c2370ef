// The hash that decides what dropout zeroes, on any device.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define GNNLIB_ANYWHERE __host__ __device__ __forceinline__
#else
#define GNNLIB_ANYWHERE __attribute__((always_inline)) inline
#endif

namespace gnnlib {

// The output function of splitmix64 (Steele, Lea and Flood, 2014), of which 24 bits decide.
GNNLIB_ANYWHERE uint32_t hash24(uint64_t seed, uint64_t counter) {
  uint64_t z = seed + (counter + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return uint32_t((z ^ (z >> 31)) >> 40);
}

}  // namespace gnnlib
