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

// The largest of the first `lanes` scores [degree, H] of each head, and their sums.
template <int H, typename A>
GNNLIB_INLINE void largest(A* r, int64_t lanes, A* top) {
  constexpr int L = 64 / sizeof(A);
  using Vector = Vec<A, L>;
  Vector high = Vector{} - INFINITY;
  for (int64_t n = 0; n < lanes; n += L) {
    const Vector value = load<A, L>(r + n);
    high = value > high ? value : high;
  }
  high = over_lanes<H, A, L>(high, [](Vector a, Vector b) { return a > b ? a : b; });
  for (int h = 0; h < H; ++h) top[h] = high[h];
}
template <int H, typename A>
GNNLIB_INLINE void sums(const A* r, int64_t lanes, A* total) {
  constexpr int L = 64 / sizeof(A);
  using Vector = Vec<A, L>;
  Vector sum = {};
  for (int64_t n = 0; n < lanes; n += L) sum += load<A, L>(r + n);
  sum = over_lanes<H, A, L>(sum, [](Vector a, Vector b) { return a + b; });
  for (int h = 0; h < H; ++h) total[h] = sum[h];
}

// Softmax rows in groups: short rows share the vectors of exp, and what is addressed by edge ids is
// gathered and scattered in tight loops, where the processor has many misses in flight. H is the
// number of heads where that divides the lanes, else 0.
template <typename S, typename I, int H>
struct SoftmaxRows {
  using A = Accumulate<S>;
  static constexpr int L = 64 / sizeof(A);
  static constexpr int64_t kGroup = 2048;  // values, in the first-level cache

  const int64_t given;
  Scratch<A> values, top, total;

  explicit SoftmaxRows(int64_t heads) : given(heads) {
    top.reserve(heads);
    total.reserve(heads);
  }
  GNNLIB_INLINE int64_t heads() const { return H ? H : given; }

  // Of the values of a row, those that are worth vectors.
  static int64_t lanes_of(int64_t used) { return H && used >= 2 * L ? used / L * L : 0; }

  // Rows of several heads that fit a vector.
  GNNLIB_INLINE void shift_heads(A* r, int64_t used) {
    const int64_t lanes = lanes_of(used);
    Vec<A, H> high = Vec<A, H>{} - INFINITY;
    if (lanes) {
      largest<H>(r, lanes, top.data);
      high = load<A, H>(top.data);
    }
    for (int64_t n = lanes; n < used; n += H) {
      const Vec<A, H> value = load<A, H>(r + n);
      high = value > high ? value : high;
    }
    for (int64_t n = 0; n < used; n += H) store<A, H>(r + n, load<A, H>(r + n) - high);
  }
  GNNLIB_INLINE void normalise_heads(A* r, int64_t used) {
    const int64_t lanes = lanes_of(used);
    Vec<A, H> sum = {};
    if (lanes) {
      sums<H>(r, lanes, total.data);
      sum = load<A, H>(total.data);
    }
    for (int64_t n = lanes; n < used; n += H) sum += load<A, H>(r + n);
    const Vec<A, H> share = 1 / sum;
    for (int64_t n = 0; n < used; n += H) store<A, H>(r + n, load<A, H>(r + n) * share);
  }

  GNNLIB_INLINE void shift(A* r, int64_t used) {
    if constexpr (H > 1) return shift_heads(r, used);
    const int64_t lanes = lanes_of(used);
    for (int64_t h = 0; h < heads(); ++h) top.data[h] = -INFINITY;
    if constexpr (H > 0) {
      if (lanes) largest<H>(r, lanes, top.data);
    }
    for (int64_t n = lanes; n < used; n += heads()) {
      for (int64_t h = 0; h < heads(); ++h) {
        top.data[h] = r[n + h] > top.data[h] ? r[n + h] : top.data[h];
      }
    }
    for (int64_t n = 0; n < used; n += heads()) {
      for (int64_t h = 0; h < heads(); ++h) r[n + h] -= top.data[h];
    }
  }

  GNNLIB_INLINE void normalise(A* r, int64_t used) {
    if constexpr (H > 1) return normalise_heads(r, used);
    const int64_t lanes = lanes_of(used);
    for (int64_t h = 0; h < heads(); ++h) total.data[h] = 0;
    if constexpr (H > 0) {
      if (lanes) sums<H>(r, lanes, total.data);
    }
    for (int64_t n = lanes; n < used; n += heads()) {
      for (int64_t h = 0; h < heads(); ++h) total.data[h] += r[n + h];
    }
    for (int64_t h = 0; h < heads(); ++h) total.data[h] = 1 / total.data[h];
    for (int64_t n = 0; n < used; n += heads()) {
      for (int64_t h = 0; h < heads(); ++h) r[n + h] *= total.data[h];
    }
  }

  void rows(const SoftmaxArgs& args, int64_t first, int64_t end) {
    const I* ptr = static_cast<const I*>(args.csr.ptr);
    const I* eid = static_cast<const I*>(args.csr.eid);
    const S* scores = static_cast<const S*>(args.scores);
    S* out = static_cast<S*>(args.out);
    for (int64_t i = first; i < end;) {
      const int64_t begin = ptr[i];
      int64_t last = i + 1;
      while (last < end && (ptr[last + 1] - begin) * heads() <= kGroup) ++last;
      const int64_t edges = ptr[last] - begin, used = edges * heads();
      const int64_t padded = (used + 15) / 16 * 16;
      values.reserve(used);
      A* r = values.data;
      for (int64_t k = 0; k < edges; ++k) {
        const S* from = scores + (eid ? int64_t(eid[begin + k]) : begin + k) * heads();
        if constexpr (H > 1) {
          store<A, H>(r + k * H, load_vec<S, H>(from));
          continue;
        }
        for (int64_t h = 0; h < heads(); ++h) r[k * heads() + h] = load_one(from + h);
      }
      for (int64_t n = used; n < padded; ++n) r[n] = 0;
      for (int64_t row = i; row < last; ++row) {
        shift(r + (ptr[row] - begin) * heads(), (ptr[row + 1] - ptr[row]) * heads());
      }
      exp_in_place(r, padded);
      for (int64_t row = i; row < last; ++row) {
        normalise(r + (ptr[row] - begin) * heads(), (ptr[row + 1] - ptr[row]) * heads());
      }
      for (int64_t k = 0; k < edges; ++k) {
        S* to = out + (eid ? int64_t(eid[begin + k]) : begin + k) * heads();
        if constexpr (H > 1) {
          store_vec<S, H>(to, load<A, H>(r + k * H));
          continue;
        }
        for (int64_t h = 0; h < heads(); ++h) store_one(to + h, r[k * heads() + h]);
      }
      i = last;
    }
  }
};

void softmax(const SoftmaxArgs& args, int64_t first, int64_t end) {
  if (args.heads == 0) return;
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    switch (args.heads) {
      case 1:
        return SoftmaxRows<S, I, 1>(1).rows(args, first, end);
      case 2:
        return SoftmaxRows<S, I, 2>(2).rows(args, first, end);
      case 4:
        return SoftmaxRows<S, I, 4>(4).rows(args, first, end);
      case 8:
        return SoftmaxRows<S, I, 8>(8).rows(args, first, end);
      default:
        return SoftmaxRows<S, I, 0>(args.heads).rows(args, first, end);
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
