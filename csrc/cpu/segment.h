// Softmax over the edges of each destination, its gradient, and the spread of rows to edges.
//
// (Segment sums and maxima are spmm with no columns: position k reads row k, or row eid[k].)
#pragma once

#include <cmath>
#include <type_traits>

#include "scratch.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

// Every lane becomes f of the lanes that are equal to it modulo H.
template <int H, typename T, int L, typename F>
GNNLIB_INLINE Vec<T, L> over_lanes(Vec<T, L> v, F&& f) {
  using Index = std::conditional_t<sizeof(T) == 8, int64_t, int32_t>;
#pragma GCC unroll 4
  for (int step = L / 2; step >= H; step /= 2) {
    Vec<Index, L> other;
    for (int lane = 0; lane < L; ++lane) other[lane] = lane ^ step;
    v = f(v, __builtin_shuffle(v, other));
  }
  return v;
}

// A row with H scores an edge, H a divisor of the lanes: a lane always meets the same head.
template <int H, typename A>
GNNLIB_INLINE void softmax_row(A* r, int64_t used) {
  constexpr int L = 64 / sizeof(A);
  using Vector = Vec<A, L>;
  const int64_t padded = (used + L - 1) / L * L;
  for (int64_t n = used; n < padded; ++n) r[n] = -INFINITY;
  Vector top = Vector{} - INFINITY, total = {};
  for (int64_t n = 0; n < padded; n += L) {
    const Vector value = load_vec<A, L>(r + n);
    top = value > top ? value : top;
  }
  top = over_lanes<H, A, L>(top, [](Vector a, Vector b) { return a > b ? a : b; });
  for (int64_t n = 0; n < padded; n += L) {
    store_vec<A, L>(r + n, load_vec<A, L>(r + n) - top);
  }
  exp_in_place(r, padded);
  for (int64_t n = 0; n < padded; n += L) total += load_vec<A, L>(r + n);
  total = over_lanes<H, A, L>(total, [](Vector a, Vector b) { return a + b; });
  const Vector share = A(1) / total;
  for (int64_t n = 0; n < padded; n += L) store_vec<A, L>(r + n, load_vec<A, L>(r + n) * share);
}

// Any number of heads; `top` and `total` have room for them.
template <typename A>
void softmax_row(A* r, int64_t degree, int64_t heads, A* top, A* total) {
  for (int64_t h = 0; h < heads; ++h) top[h] = -INFINITY, total[h] = 0;
  for (int64_t k = 0; k < degree; ++k) {
    for (int64_t h = 0; h < heads; ++h) {
      top[h] = r[k * heads + h] > top[h] ? r[k * heads + h] : top[h];
    }
  }
  for (int64_t k = 0; k < degree; ++k) {
    for (int64_t h = 0; h < heads; ++h) r[k * heads + h] -= top[h];
  }
  const int64_t used = degree * heads, padded = (used + 15) / 16 * 16;
  for (int64_t n = used; n < padded; ++n) r[n] = 0;
  exp_in_place(r, padded);
  for (int64_t k = 0; k < degree; ++k) {
    for (int64_t h = 0; h < heads; ++h) total[h] += r[k * heads + h];
  }
  for (int64_t h = 0; h < heads; ++h) total[h] = 1 / total[h];
  for (int64_t k = 0; k < degree; ++k) {
    for (int64_t h = 0; h < heads; ++h) r[k * heads + h] *= total[h];
  }
}

void softmax(const SoftmaxArgs& args, int64_t first, int64_t end) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    const I* ptr = static_cast<const I*>(args.csr.ptr);
    const I* eid = static_cast<const I*>(args.csr.eid);
    const S* scores = static_cast<const S*>(args.scores);
    S* out = static_cast<S*>(args.out);
    const int64_t heads = args.heads, limit = ptr[end];
    Scratch<A> row, top, total;
    top.reserve(heads);
    total.reserve(heads);
    for (int64_t i = first; i < end; ++i) {
      const int64_t begin = ptr[i], degree = ptr[i + 1] - begin, used = degree * heads;
      if (used == 0) continue;
      row.reserve(used);
      A* r = row.data;
      if (!eid) {
        for (int64_t n = 0; n < used; ++n) r[n] = load_one(scores + begin * heads + n);
      } else {
        for (int64_t k = 0; k < degree; ++k) {
          if (begin + k + kFar < limit) {
            __builtin_prefetch(scores + eid[begin + k + kFar] * heads);
            __builtin_prefetch(out + eid[begin + k + kFar] * heads, 1);
          }
          const S* from = scores + eid[begin + k] * heads;
          if (heads == 1) {
            r[k] = load_one(from);
          } else {
            for (int64_t h = 0; h < heads; ++h) r[k * heads + h] = load_one(from + h);
          }
        }
      }
      switch (heads) {
        case 1:
          softmax_row<1>(r, used);
          break;
        case 2:
          softmax_row<2>(r, used);
          break;
        case 4:
          softmax_row<4>(r, used);
          break;
        case 8:
          softmax_row<8>(r, used);
          break;
        default:
          softmax_row(r, degree, heads, top.data, total.data);
      }
      if (!eid) {
        for (int64_t n = 0; n < used; ++n) store_one(out + begin * heads + n, r[n]);
      } else {
        for (int64_t k = 0; k < degree; ++k) {
          S* to = out + eid[begin + k] * heads;
          for (int64_t h = 0; h < heads; ++h) store_one(to + h, r[k * heads + h]);
        }
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
    const int64_t heads = args.heads, limit = ptr[end];
    Scratch<A> total;
    total.reserve(heads);
    for (int64_t i = first; i < end; ++i) {
      for (int64_t h = 0; h < heads; ++h) total.data[h] = 0;
      for (int64_t k = ptr[i]; k < ptr[i + 1]; ++k) {
        const int64_t at = (eid ? int64_t(eid[k]) : k) * heads;
        if (eid && k + kFar < limit) {
          const int64_t next = eid[k + kFar] * heads;
          __builtin_prefetch(value + next);
          __builtin_prefetch(grad + next);
          __builtin_prefetch(out + next, 1);
        }
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
      copy_row(to + edge * args.bytes, from + i * args.bytes, args.bytes);
    }
  }
}

void expand(const Csr& csr, const RowsArgs& args, int64_t first, int64_t end) {
  csr.wide ? expand_rows<int64_t>(csr, args, first, end)
           : expand_rows<int32_t>(csr, args, first, end);
}

}  // namespace gnnlib::cpu::GNNLIB_CLONE
