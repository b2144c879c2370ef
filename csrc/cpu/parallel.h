// The division of work among the threads.
#pragma once

#include <algorithm>
#include <atomic>

#include "../bind.h"
#include "kernels.h"

namespace gnnlib::cpu {

// What stays in a core's cache while it is worked on.
constexpr int64_t kCached = 512 << 10;  // bytes

// Below this many element-edges (10 µs of one core) waking the threads costs more than they save.
constexpr int64_t kSerialWork = 1 << 17;

inline int64_t threads_for(int64_t work) {
  return work < kSerialWork ? 1 : int64_t(torch::stable::get_num_threads());
}

// Runs f(first, last) over [0, n) in equal parts.
template <typename F>
void parallel_even(int64_t n, int64_t work, const F& f) {
  const int64_t threads = threads_for(work);
  if (n == 0) return;
  if (threads == 1) return f(int64_t(0), n);
  torch::stable::parallel_for(0, threads, 1, [&](int64_t first, int64_t last) {
    f(n * first / threads, n * last / threads);
  });
}

// Runs f(part, worker) for each of the parts, handed out to the workers as they become free. Which
// worker does which changes no result where every value has one owner.
template <typename F>
void parallel_parts(int64_t parts, int64_t work, const F& f) {
  const int64_t threads = std::min(parts, threads_for(work));
  if (threads <= 1) {
    for (int64_t p = 0; p < parts; ++p) f(p, int64_t(0));
    return;
  }
  std::atomic<int64_t> next{0};
  torch::stable::parallel_for(0, threads, 1, [&](int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t) {
      for (int64_t p = next++; p < parts; p = next++) f(p, t);
    }
  });
}

// Where parts of about equal edges + rows begin, and where the last one ends.
inline std::vector<int64_t> split_rows(const BoundCsr& csr, int64_t parts) {
  const int64_t rows = csr.num_rows, total = csr.at(rows) + rows;
  std::vector<int64_t> bounds(parts + 1, rows);
  for (int64_t p = 0; p < parts; ++p) {
    const int64_t target = total / parts * p;
    int64_t low = 0, high = rows;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      csr.at(middle) + middle < target ? low = middle + 1 : high = middle;
    }
    bounds[p] = low;
  }
  return bounds;
}

// Runs f(first, last) over the rows.
template <typename F>
void parallel_rows(const BoundCsr& csr, int64_t work, const F& f) {
  const int64_t rows = csr.num_rows;
  if (rows == 0) return;
  const int64_t threads = threads_for(work);
  if (threads == 1) return f(int64_t(0), rows);
  // Small parts level out uneven rows, but each costs a call.
  const int64_t parts =
      std::min<int64_t>(rows, threads * std::clamp<int64_t>(work / kSerialWork, 2, 16));
  const auto bounds = split_rows(csr, parts);
  parallel_parts(parts, work, [&](int64_t p, int64_t) {
    if (bounds[p] < bounds[p + 1]) f(bounds[p], bounds[p + 1]);
  });
}

}  // namespace gnnlib::cpu
