// What the bindings share: contiguous arguments, the CSR as the kernels see it, and its checks.
#pragma once

#include "arguments.h"
#include "checks.h"

namespace gnnlib {

// Contiguous, and for the kernels of a GPU at an address where 16 bytes may be read at once.
inline Tensor dense(const Tensor& t) {
#ifdef GNNLIB_EMU
  const bool anywhere = false;
#else
  const bool anywhere = t.is_cpu();
#endif
  const bool aligned = anywhere || reinterpret_cast<uintptr_t>(t.data_ptr()) % 16 == 0;
  if (!t.is_contiguous()) return torch::stable::contiguous(t);
  return aligned ? t : torch::stable::clone(t);
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

inline ScalarType accumulate_type(Dtype type) {
  return type == Dtype::f64 ? ScalarType::Double : ScalarType::Float;
}

// A checked CSR that keeps its (contiguous) tensors alive.
struct BoundCsr {
  Tensor ptr;
  OptionalTensor col, eid;
  int64_t num_rows, num_edges;  // num_edges: −1 without col and eid, until check_edges
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
  // entry, and a row costs a kernel far more. What lies on a GPU cannot be looked at without
  // waiting for it; that, and what col and eid hold, is checked once a tensor: gnnlib/ops/_door.py.
  // Without col and eid it is here that the number of edges becomes known.
  void check_edges(const char* op, int64_t edges) {
    check_wide(op, "num_edges", edges, wide);
    num_edges = edges;
    if (!ptr.is_cpu()) return;
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

}  // namespace gnnlib
