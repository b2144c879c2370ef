// What the CPU bindings share: contiguous arguments, the CSR as the kernels see it, fresh outputs,
// and the division of the rows among the threads.
#pragma once

#include <algorithm>
#include <atomic>

#include "../checks.h"
#include "kernels.h"

namespace gnnlib::cpu {

inline Tensor dense(const Tensor& t) {
  return t.is_contiguous() ? t : torch::stable::contiguous(t);
}
inline OptionalTensor dense(const OptionalTensor& t) { return t ? OptionalTensor(dense(*t)) : t; }
inline const void* pointer(const OptionalTensor& t) { return t ? t->data_ptr() : nullptr; }

inline Dtype dtype_of(const char* op, const char* name, const Tensor& t) {
  check_floating(op, name, t);
  switch (t.scalar_type()) {
    case ScalarType::Double:
      return Dtype::f64;
    case ScalarType::BFloat16:
      return Dtype::bf16;
    case ScalarType::Half:
      return Dtype::f16;
    default:
      return Dtype::f32;
  }
}

// A checked CSR that keeps its (contiguous) tensors alive.
struct BoundCsr {
  Tensor ptr;
  OptionalTensor col, eid;
  int64_t num_rows, num_edges;  // num_edges: −1 without col and eid
  bool wide;

  BoundCsr(const char* op, const Tensor& ptr_, const OptionalTensor& col_,
           const OptionalTensor& eid_)
      : ptr(dense(ptr_)), col(dense(col_)), eid(dense(eid_)) {
    check_index(op, "ptr", ptr);
    if (ptr.numel() == 0) fail(op, ": ptr must have num_dst + 1 entries, got none");
    num_rows = ptr.numel() - 1;
    wide = ptr.scalar_type() == ScalarType::Long;
    num_edges = col ? col->numel() : eid ? eid->numel() : -1;
    check_wide(op, "num_dst", num_rows, wide);
    check_wide(op, "num_edges", num_edges, wide);
    for (const auto* part : {&col, &eid}) {
      if (!*part) continue;
      check_index(op, part == &col ? "col" : "eid", **part);
      check_same_dtype(op, part == &col ? "col" : "eid", **part, "ptr", ptr.scalar_type());
      if ((*part)->numel() != num_edges) {
        fail(op, ": eid must have one id per edge: col has ", num_edges, ", eid ",
             (*part)->numel());
      }
    }
  }

  int64_t at(int64_t row) const {
    return wide ? static_cast<const int64_t*>(ptr.data_ptr())[row]
                : static_cast<const int32_t*>(ptr.data_ptr())[row];
  }
  // A ptr may lead a kernel anywhere, so all of it is looked at on each call: that is 0.15 ns an
  // entry, and a row costs a kernel far more. What col and eid hold: gnnlib/ops/_door.py.
  void check_edges(const char* op, int64_t edges) const {
    check_wide(op, "num_edges", edges, wide);
    if (at(0) != 0 || at(num_rows) != edges) {
      fail(op, ": ptr must run from 0 to the number of edges ", edges, ", got ", at(0), " to ",
           at(num_rows));
    }
    if (wide ? increases<int64_t, uint64_t>() : increases<int32_t, uint32_t>()) return;
    for (int64_t row = 0; row < num_rows; ++row) {
      if (at(row + 1) < at(row)) {
        fail(op, ": ptr must never decrease: ptr[", row, "] is ", at(row), ", ptr[", row + 1,
             "] is ", at(row + 1));
      }
    }
  }
  // No entry negative, nor any step between two: one sign bit tells both, without a branch.
  template <typename I, typename U>
  bool increases() const {
    const I* entry = static_cast<const I*>(ptr.data_ptr());
    U signs = U(entry[0]);
    for (int64_t row = 0; row < num_rows; ++row) {
      signs |= U(entry[row + 1]) | (U(entry[row + 1]) - U(entry[row]));
    }
    return I(signs) >= 0;
  }
  Csr view() const { return {ptr.data_ptr(), pointer(col), pointer(eid), wide}; }
};

// The edges sorted by `key`, stably: ptr [num_rows + 1], the `value` of each (empty without
// values) and its position in the input. The names are those of the caller's arguments.
struct Sorted {
  Tensor ptr, value, position;
};
Sorted sort_edges(const char* op, const char* key_name, const Tensor& key, const Tensor* value,
                  const char* rows_name, int64_t num_rows);

// A new tensor like x; large ones on huge pages, which halve the time of writing them first.
// GNNLIB_HUGE_PAGES=0 turns that off.
Tensor new_output(const Tensor& like, const std::vector<int64_t>& sizes);
Tensor new_output(const Tensor& like, const std::vector<int64_t>& sizes, ScalarType type);

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
