// Building structures: nothing here is on the way of a layer.
#include "layout.h"

#include "launch.h"
#include "numbers.h"
#include "tasks.h"

#ifdef GNNLIB_EMU
#include <algorithm>
#include <numeric>
#include <vector>
#else
#include <cub/device/device_radix_sort.cuh>
#endif

namespace gnnlib::cuda {
namespace {

constexpr int kThreads = 256;

template <typename F>
void with_index(bool wide, const F& f) {
  wide ? f.template operator()<int64_t>() : f.template operator()<int32_t>();
}

template <typename I>
struct Count {
  I* to;
  int64_t num_edges;

  GNNLIB_DEVICE void operator()() const {
    const int64_t k = block() * threads() + thread();
    if (k < num_edges) to[k] = I(k);
  }
};

// Between edge k − 1 and edge k lie the ends of the rows from the one's to the other's.
template <typename I>
struct Pointers {
  const I* row;
  I* ptr;
  int64_t num_edges, num_rows;

  GNNLIB_DEVICE void operator()() const {
    const int64_t k = block() * threads() + thread();
    if (k > num_edges) return;
    const int64_t before = k > 0 ? int64_t(row[k - 1]) : -1;
    const int64_t here = k < num_edges ? int64_t(row[k]) : num_rows;
    for (int64_t i = before + 1; i <= here; ++i) ptr[i] = I(k);
  }
};

template <typename I>
struct Rows {
  const I* ptr;
  I* row;
  int64_t num_rows, num_edges;

  GNNLIB_DEVICE void operator()() const {
    const int64_t k = block() * threads() + thread();
    if (k < num_edges) row[k] = I(row_of(ptr, num_rows, k));
  }
};

template <typename I>
struct InRange {
  const I* index;
  int64_t* bad;
  int64_t num_edges, size;

  GNNLIB_DEVICE void operator()() const {
    const int64_t k = block() * threads() + thread();
    if (k < num_edges && (index[k] < 0 || index[k] >= size)) *bad = k;  // any of them will do
  }
};

#ifndef GNNLIB_EMU
// Bits that tell num_rows keys apart.
int bits_of(int64_t num_rows) {
  int bits = 1;
  while (bits < 63 && (int64_t(1) << bits) < num_rows) ++bits;
  return bits;
}
#endif

}  // namespace

size_t sort_bytes(int64_t num_edges, bool wide) {
  size_t bytes = 0;
#ifndef GNNLIB_EMU
  with_index(wide, [&]<typename I>() {
    const I* none = nullptr;
    I* nowhere = nullptr;
    cub::DeviceRadixSort::SortPairs(nullptr, bytes, none, nowhere, none, nowhere, num_edges);
  });
#else
  (void)num_edges, (void)wide;
#endif
  return bytes;
}

void sort_by_key(void* scratch, size_t bytes, const void* key, void* sorted_key, const void* count,
                 void* position, int64_t num_edges, int64_t num_rows, bool wide,
                 const Where& where) {
  if (num_edges == 0) return;
  with_index(wide, [&]<typename I>() {
    const I* keys = static_cast<const I*>(key);
    const I* from = static_cast<const I*>(count);
    I* sorted = static_cast<I*>(sorted_key);
    I* to = static_cast<I*>(position);
#ifdef GNNLIB_EMU
    (void)scratch, (void)bytes, (void)num_rows, (void)where;
    std::copy(from, from + num_edges, to);
    std::stable_sort(to, to + num_edges, [&](I a, I b) { return keys[a] < keys[b]; });
    for (int64_t k = 0; k < num_edges; ++k) sorted[k] = keys[to[k]];
#else
    const cudaError_t error = cub::DeviceRadixSort::SortPairs(
        scratch, bytes, keys, sorted, from, to, num_edges, 0, bits_of(num_rows),
        static_cast<cudaStream_t>(where.stream));
    if (error != cudaSuccess) {
      throw std::runtime_error(std::string("coo_to_csr: CUDA says ") + cudaGetErrorString(error));
    }
#endif
  });
}

void fill_count(void* to, int64_t num_edges, bool wide, const Where& where) {
  with_index(wide, [&]<typename I>() {
    launch<kThreads>(where, "coo_to_csr", blocks_for(num_edges, 1, kThreads), 0,
                     Count<I>{static_cast<I*>(to), num_edges});
  });
}

void pointers_of(const void* sorted_row, void* ptr, int64_t num_edges, int64_t num_rows, bool wide,
                 const Where& where) {
  with_index(wide, [&]<typename I>() {
    launch<kThreads>(
        where, "coo_to_csr", blocks_for(num_edges + 1, 1, kThreads), 0,
        Pointers<I>{static_cast<const I*>(sorted_row), static_cast<I*>(ptr), num_edges, num_rows});
  });
}

void rows_of(const void* ptr, void* row, int64_t num_rows, int64_t num_edges, bool wide,
             const Where& where) {
  with_index(wide, [&]<typename I>() {
    launch<kThreads>(where, "csr_transpose", blocks_for(num_edges, 1, kThreads), 0,
                     Rows<I>{static_cast<const I*>(ptr), static_cast<I*>(row), num_rows, num_edges});
  });
}

void check_range(const void* index, int64_t num_edges, int64_t size, bool wide, void* bad,
                 const Where& where) {
  with_index(wide, [&]<typename I>() {
    launch<kThreads>(where, "coo_to_csr", blocks_for(num_edges, 1, kThreads), 0,
                     InRange<I>{static_cast<const I*>(index), static_cast<int64_t*>(bad),
                                num_edges, size});
  });
}

}  // namespace gnnlib::cuda
