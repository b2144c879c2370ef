// Starting a kernel: on the stream it is told, or in the emulation.
#pragma once

#include <stdexcept>
#include <string>

#include "device.h"
#include "where.h"

namespace gnnlib::cuda {

#ifndef GNNLIB_EMU
// `Least`: blocks of a multiprocessor that the compiler is to make room for.
template <int Threads, int Least, typename K>
__global__ __launch_bounds__(Threads, Least) void run_kernel(const K kernel) {
  kernel();
}
#endif

constexpr int64_t kMostBlocks = 2147483647;  // of a grid's first dimension

template <int Threads, int Least = 1, typename K>
void launch(const Where& where, const char* name, int64_t blocks, size_t shared_bytes,
            const K& kernel) {
  if (blocks == 0) return;
  if (blocks > kMostBlocks) {
    throw std::runtime_error(std::string(name) + ": the grid has " + std::to_string(blocks) +
                             " blocks, a GPU takes " + std::to_string(kMostBlocks));
  }
#ifdef GNNLIB_EMU
  (void)where;
  emu::run(
      blocks, Threads, shared_bytes, [](const void* k) { (*static_cast<const K*>(k))(); }, &kernel);
#else
  run_kernel<Threads, Least>
      <<<unsigned(blocks), Threads, shared_bytes, static_cast<cudaStream_t>(where.stream)>>>(
          kernel);
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string(name) + ": CUDA says " + cudaGetErrorString(error));
  }
#endif
}

// Blocks that hold `groups` groups of `lanes` lanes.
inline int64_t blocks_for(int64_t groups, int lanes, int threads) {
  const int64_t each = threads / lanes;
  return (groups + each - 1) / each;
}

}  // namespace gnnlib::cuda
