// A buffer that grows and is reused from row to row.
#pragma once

#include <cstdlib>
#include <new>

#include "vec.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

template <typename A>
struct Scratch {
  A* data = nullptr;
  int64_t capacity = 0;

  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(data); }

  // Room for n values and for the rest of the last whole vector. What it held is lost.
  void reserve(int64_t n) {
    n = (n + 15) / 16 * 16;
    if (n <= capacity) return;
    std::free(data);
    capacity = n * 2;
    data = static_cast<A*>(std::malloc(capacity * sizeof(A)));
    if (!data) throw std::bad_alloc();
  }
};

}  // namespace gnnlib::cpu::GNNLIB_CLONE
