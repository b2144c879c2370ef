// Starting a kernel: on the stream it is told, or in the emulation.
#pragma once

#include <stdexcept>
#include <string>

#include "numbers.h"
#include "where.h"

namespace gnnlib::cuda {

#ifndef GNNLIB_EMU
// One block of a multiprocessor is enough: else the compiler makes room for more, and spills.
template <int Threads, typename K>
__global__ __launch_bounds__(Threads, 1) void run_kernel(const __grid_constant__ K kernel) {
  kernel();
}
#endif

constexpr int64_t kMostBlocks = 2147483647;  // of a grid's first dimension

template <int Threads, typename K>
void launch(const Where& where, const char* name, int64_t blocks, const K& kernel) {
  if (blocks == 0) return;
  if (blocks > kMostBlocks) {
    throw std::runtime_error(std::string(name) + ": the grid has " + std::to_string(blocks) +
                             " blocks, a GPU takes " + std::to_string(kMostBlocks));
  }
#ifdef GNNLIB_EMU
  (void)where;
  emu::run(blocks, Threads, [](const void* k) { (*static_cast<const K*>(k))(); }, &kernel);
#else
  run_kernel<Threads>
      <<<unsigned(blocks), Threads, 0, static_cast<cudaStream_t>(where.stream)>>>(kernel);
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string(name) + ": CUDA says " + cudaGetErrorString(error));
  }
#endif
}

// The kernel on so many groups, or threads.
template <int Threads, typename K>
void launch_groups(const Where& where, const char* name, int64_t count, Groups groups,
                   const K& kernel) {
  const int64_t each = Threads >> groups.bits;
  launch<Threads>(where, name, (count + each - 1) / each, kernel);
}
template <int Threads, typename K>
void launch_threads(const Where& where, const char* name, int64_t count, const K& kernel) {
  launch_groups<Threads>(where, name, count, Groups{0}, kernel);
}

}  // namespace gnnlib::cuda
