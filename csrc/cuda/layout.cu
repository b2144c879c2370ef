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
#include <cub/device/device_scan.cuh>
#endif

namespace gnnlib::cuda {
namespace {

constexpr int kThreads = 256;

template <typename I>
struct Count {
  I* to;
  int64_t num_edges;

  GNNLIB_DEVICE void operator()() const {
    const int64_t k = block() * threads() + thread();
    if (k < num_edges) to[k] = I(k);
  }
};

// ptr[i]: how many edges belong to rows before i, found among the sorted rows of the edges.
template <typename I>
struct Pointers {
  const I* row;
  I* ptr;
  int64_t num_edges, num_rows;

  GNNLIB_DEVICE void operator()() const {
    const int64_t i = block() * threads() + thread();
    if (i > num_rows) return;
    int64_t low = 0, high = num_edges;  // where the first edge of row i, or of one behind it, lies
    while (low < high && i < num_rows) {
      const int64_t middle = (low + high) / 2;
      row[middle] < i ? low = middle + 1 : high = middle;
    }
    ptr[i] = I(i == num_rows ? num_edges : i == 0 ? 0 : low);
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
    if (k < num_edges && (index[k] < 0 || index[k] >= size)) lower(bad, k);
  }
};

template <typename I>
struct Rename {
  I* entries;
  const I* order;
  int64_t size;

  GNNLIB_DEVICE void operator()() const {
    const int64_t n = block() * threads() + thread();
    if (n < size && entries[n] >= 0) entries[n] = order[entries[n]];
  }
};

template <typename Unit>
struct Spread {
  const Unit* from;
  Unit* to;
  int64_t rows, units, stride;

  GNNLIB_DEVICE void operator()() const {
    const int64_t n = block() * threads() + thread();
    if (n < rows * units) to[n / units * stride + n % units] = from[n];
  }
};

template <typename I>
struct Ends {
  I* to;
  int64_t size;

  GNNLIB_DEVICE void operator()() const {
    if (thread() < 2) to[thread()] = thread() == 0 ? I(0) : I(size);
  }
};

template <typename I>
struct Fill {
  I* to;
  int64_t size;
  I value;

  GNNLIB_DEVICE void operator()() const {
    const int64_t n = block() * threads() + thread();
    if (n < size) to[n] = value;
  }
};

// missing[i] becomes 0 where row i has its loop already.
template <typename I>
struct FindLoops {
  Csr csr;
  I* missing;
  int64_t num_rows, num_edges;

  GNNLIB_DEVICE void operator()() const {
    const int64_t k = block() * threads() + thread();
    if (k >= num_edges) return;
    const int64_t i = row_of(static_cast<const I*>(csr.ptr), num_rows, k);
    if (int64_t(static_cast<const I*>(csr.col)[k]) == i) missing[i] = 0;  // by any of its threads
  }
};

// A thread for each edge, then one for each row and the end of the last.
template <typename I>
struct AddLoops {
  Csr csr;
  const I* added;
  I *new_ptr, *new_col, *new_eid;
  int64_t num_rows, num_edges;

  GNNLIB_DEVICE void operator()() const {
    const int64_t n = block() * threads() + thread();
    const I* ptr = static_cast<const I*>(csr.ptr);
    const I* eid = static_cast<const I*>(csr.eid);
    if (n < num_edges) {
      const int64_t to = n + added[row_of(ptr, num_rows, n)];
      new_col[to] = static_cast<const I*>(csr.col)[n];
      new_eid[to] = eid ? eid[n] : I(n);
      return;
    }
    const int64_t i = n - num_edges;
    if (i > num_rows) return;
    new_ptr[i] = ptr[i] + added[i];
    if (i == num_rows || added[i + 1] == added[i]) return;
    const int64_t to = int64_t(ptr[i + 1]) + added[i];
    new_col[to] = I(i);
    new_eid[to] = I(num_edges + added[i]);
  }
};

#ifndef GNNLIB_EMU
void check(const char* op, cudaError_t error) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string(op) + ": CUDA says " + cudaGetErrorString(error));
}

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
    check("coo_to_csr", cub::DeviceRadixSort::SortPairs(
                            scratch, bytes, keys, sorted, from, to, num_edges, 0,
                            bits_of(num_rows), static_cast<cudaStream_t>(where.stream)));
#endif
  });
}

void fill_count(void* to, int64_t num_edges, bool wide, const Where& where) {
  with_index(wide, [&]<typename I>() {
    launch_threads<kThreads>(where, "coo_to_csr", num_edges,
                             Count<I>{static_cast<I*>(to), num_edges});
  });
}

void fill_ends(void* to, int64_t size, bool wide, const Where& where) {
  with_index(wide, [&]<typename I>() {
    launch_threads<kWarp>(where, "attention_backward", kWarp, Ends<I>{static_cast<I*>(to), size});
  });
}

void rename(void* entries, const void* order, int64_t size, bool wide, const Where& where) {
  with_index(wide, [&]<typename I>() {
    launch_threads<kThreads>(
        where, "scatter_arg", size,
        Rename<I>{static_cast<I*>(entries), static_cast<const I*>(order), size});
  });
}

void spread(const void* from, void* to, int64_t rows, int64_t bytes, int64_t stride,
            const Where& where) {
  if (bytes == 0) return;
  with_unit(bytes, [&]<typename Unit>() {
    const int64_t size = sizeof(Unit), units = bytes / size;
    launch_threads<kThreads>(where, "propagate_powers", rows * units,
                             Spread<Unit>{static_cast<const Unit*>(from), static_cast<Unit*>(to),
                                          rows, units, stride / size});
  });
}

void pointers_of(const void* sorted_row, void* ptr, int64_t num_edges, int64_t num_rows, bool wide,
                 const Where& where) {
  with_index(wide, [&]<typename I>() {
    launch_threads<kThreads>(
        where, "coo_to_csr", num_rows + 1,
        Pointers<I>{static_cast<const I*>(sorted_row), static_cast<I*>(ptr), num_edges, num_rows});
  });
}

void rows_of(const void* ptr, void* row, int64_t num_rows, int64_t num_edges, bool wide,
             const Where& where) {
  with_index(wide, [&]<typename I>() {
    launch_threads<kThreads>(
        where, "csr_transpose", num_edges,
        Rows<I>{static_cast<const I*>(ptr), static_cast<I*>(row), num_rows, num_edges});
  });
}

void check_range(const void* index, int64_t num_edges, int64_t size, bool wide, void* bad,
                 const Where& where) {
  with_index(wide, [&]<typename I>() {
    launch_threads<kThreads>(
        where, "coo_to_csr", num_edges,
        InRange<I>{static_cast<const I*>(index), static_cast<int64_t*>(bad), num_edges, size});
  });
}

size_t loops_bytes(int64_t num_rows, bool wide) {
  size_t bytes = 0;
#ifndef GNNLIB_EMU
  with_index(wide, [&]<typename I>() {
    const I* none = nullptr;
    I* nowhere = nullptr;
    check("csr_add_loops",
          cub::DeviceScan::ExclusiveSum(nullptr, bytes, none, nowhere, num_rows + 1));
  });
#else
  (void)num_rows, (void)wide;
#endif
  return bytes;
}

void count_loops(const Csr& csr, void* scratch, size_t bytes, void* missing, void* added,
                 int64_t num_rows, int64_t num_edges, const Where& where) {
  const char* op = "csr_add_loops";
  with_index(csr.wide, [&]<typename I>() {
    I* from = static_cast<I*>(missing);
    I* to = static_cast<I*>(added);
    launch_threads<kThreads>(where, op, num_rows + 1, Fill<I>{from, num_rows + 1, I(1)});
    launch_threads<kThreads>(where, op, num_edges, FindLoops<I>{csr, from, num_rows, num_edges});
#ifdef GNNLIB_EMU
    (void)scratch, (void)bytes;
    std::exclusive_scan(from, from + num_rows + 1, to, I(0));
#else
    check(op, cub::DeviceScan::ExclusiveSum(scratch, bytes, from, to, num_rows + 1,
                                            static_cast<cudaStream_t>(where.stream)));
#endif
  });
}

void add_loops(const Csr& csr, const void* added, void* new_ptr, void* new_col, void* new_eid,
               int64_t num_rows, int64_t num_edges, const Where& where) {
  with_index(csr.wide, [&]<typename I>() {
    const AddLoops<I> kernel{csr,
                             static_cast<const I*>(added),
                             static_cast<I*>(new_ptr),
                             static_cast<I*>(new_col),
                             static_cast<I*>(new_eid),
                             num_rows,
                             num_edges};
    launch_threads<kThreads>(where, "csr_add_loops", num_edges + num_rows + 1, kernel);
  });
}

}  // namespace gnnlib::cuda
