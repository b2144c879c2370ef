// Softmax over the edges of each destination, its gradient, and the spread of rows to edges.
//
// (Segment sums and maxima are spmm with no columns: position k reads row k, or row eid[k].)
#pragma once

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

#include "vec.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

// One row's scores as accumulation values, [degree, heads], padded to whole vectors.
template <typename A>
struct Scratch {
  A* data = nullptr;
  int64_t capacity = 0;

  void reserve(int64_t n) {
    n = (n + 15) / 16 * 16;
    if (n <= capacity) return;
    std::free(data);
    capacity = n * 2;
    data = static_cast<A*>(std::malloc(capacity * sizeof(A)));
    if (!data) throw std::bad_alloc();
  }
  ~Scratch() { std::free(data); }
};

GNNLIB_INLINE void exp_in_place(float* x, int64_t n) {
  for (int64_t k = 0; k < n; k += 16)
    store_vec<float, 16>(x + k, exp_vec<16>(load_vec<float, 16>(x + k)));
}
GNNLIB_INLINE void exp_in_place(double* x, int64_t n) {
  for (int64_t k = 0; k < n; ++k) x[k] = std::exp(x[k]);
}

void softmax(const SoftmaxArgs& args, int64_t first, int64_t end) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    const I* ptr = static_cast<const I*>(args.csr.ptr);
    const I* eid = static_cast<const I*>(args.csr.eid);
    const S* scores = static_cast<const S*>(args.scores);
    S* out = static_cast<S*>(args.out);
    const int64_t heads = args.heads;
    Scratch<A> row, top, total;
    top.reserve(heads);
    total.reserve(heads);
    for (int64_t i = first; i < end; ++i) {
      const int64_t begin = ptr[i], degree = ptr[i + 1] - begin;
      if (degree == 0) continue;
      row.reserve(degree * heads);
      A* r = row.data;
      for (int64_t h = 0; h < heads; ++h) top.data[h] = -INFINITY, total.data[h] = 0;
      for (int64_t k = 0; k < degree; ++k) {
        const S* from = scores + (eid ? int64_t(eid[begin + k]) : begin + k) * heads;
        for (int64_t h = 0; h < heads; ++h) {
          const A value = load_one(from + h);
          r[k * heads + h] = value;
          top.data[h] = value > top.data[h] ? value : top.data[h];
        }
      }
      for (int64_t k = 0; k < degree; ++k) {
        for (int64_t h = 0; h < heads; ++h) r[k * heads + h] -= top.data[h];
      }
      const int64_t used = degree * heads, padded = (used + 15) / 16 * 16;
      for (int64_t n = used; n < padded; ++n) r[n] = 0;
      exp_in_place(r, padded);
      for (int64_t k = 0; k < degree; ++k) {
        for (int64_t h = 0; h < heads; ++h) total.data[h] += r[k * heads + h];
      }
      for (int64_t h = 0; h < heads; ++h) total.data[h] = 1 / total.data[h];
      for (int64_t k = 0; k < degree; ++k) {
        S* to = out + (eid ? int64_t(eid[begin + k]) : begin + k) * heads;
        for (int64_t h = 0; h < heads; ++h) store_one(to + h, r[k * heads + h] * total.data[h]);
      }
    }
  });
}

// dscores = out · (grad − Σ over the segment of out · grad)
void softmax_backward(const SoftmaxArgs& args, int64_t first, int64_t end) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    const I* ptr = static_cast<const I*>(args.csr.ptr);
    const I* eid = static_cast<const I*>(args.csr.eid);
    const S* value = static_cast<const S*>(args.scores);
    const S* grad = static_cast<const S*>(args.grad);
    S* out = static_cast<S*>(args.out);
    const int64_t heads = args.heads;
    Scratch<A> total;
    total.reserve(heads);
    for (int64_t i = first; i < end; ++i) {
      for (int64_t h = 0; h < heads; ++h) total.data[h] = 0;
      for (int64_t k = ptr[i]; k < ptr[i + 1]; ++k) {
        const int64_t at = (eid ? int64_t(eid[k]) : k) * heads;
        for (int64_t h = 0; h < heads; ++h) {
          total.data[h] += load_one(value + at + h) * load_one(grad + at + h);
        }
      }
      for (int64_t k = ptr[i]; k < ptr[i + 1]; ++k) {
        const int64_t at = (eid ? int64_t(eid[k]) : k) * heads;
        for (int64_t h = 0; h < heads; ++h) {
          const A p = load_one(value + at + h);
          store_one(out + at + h, p * (load_one(grad + at + h) - total.data[h]));
        }
      }
    }
  });
}

template <typename I>
void expand_rows(const Csr& csr, const RowsArgs& args, int64_t first, int64_t end) {
  const I* ptr = static_cast<const I*>(csr.ptr);
  const I* eid = static_cast<const I*>(csr.eid);
  const char* from = static_cast<const char*>(args.from);
  char* to = static_cast<char*>(args.to);
  if (args.bytes == 0) return;  // no row has an address then
  for (int64_t i = first; i < end; ++i) {
    for (int64_t k = ptr[i]; k < ptr[i + 1]; ++k) {
      const int64_t edge = eid ? int64_t(eid[k]) : k;
      std::memcpy(to + edge * args.bytes, from + i * args.bytes, args.bytes);
    }
  }
}

void expand(const Csr& csr, const RowsArgs& args, int64_t first, int64_t end) {
  csr.wide ? expand_rows<int64_t>(csr, args, first, end)
           : expand_rows<int32_t>(csr, args, first, end);
}

}  // namespace gnnlib::cpu::GNNLIB_CLONE
