// Reduce the weighted source rows of each destination row.
//
// A tile of the features stays in registers while the edges of a row stream by: the indices are
// read once a tile, each source row once, the result is written once. The row that will be needed
// eight edges later is prefetched, because the source rows are in no order the hardware can guess.
#pragma once

#include "vec.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

constexpr int64_t kAhead = 8;  // edges between a prefetch and its use

template <int Bytes>
GNNLIB_INLINE void prefetch(const void* at) {
  for (int b = 0; b < Bytes; b += 64) __builtin_prefetch(static_cast<const char*>(at) + b);
}

template <typename S, typename I>
struct Spmm {
  using A = Accumulate<S>;

  const I* ptr;
  const I* col;
  const I* eid;
  const S* weight;
  const S* x;
  S* out;
  I* arg;
  const A* row_scale;
  const A* col_scale;
  int64_t heads, stride;  // stride: values in a row of x and out

  explicit Spmm(const SpmmArgs& args)
      : ptr(static_cast<const I*>(args.csr.ptr)),
        col(static_cast<const I*>(args.csr.col)),
        eid(static_cast<const I*>(args.csr.eid)),
        weight(static_cast<const S*>(args.weight)),
        x(static_cast<const S*>(args.x)),
        out(static_cast<S*>(args.out)),
        arg(static_cast<I*>(args.arg)),
        row_scale(static_cast<const A*>(args.row_scale)),
        col_scale(static_cast<const A*>(args.col_scale)),
        heads(args.heads),
        stride(args.heads * args.dim) {}

  GNNLIB_INLINE int64_t source(int64_t k) const { return col ? col[k] : k; }

  GNNLIB_INLINE A factor(int64_t k, int64_t j, int64_t head) const {
    A f = 1;
    if (weight) f = load_one(weight + (eid ? eid[k] : k) * heads + head);
    if (col_scale) f *= col_scale[j];
    return f;
  }

  template <bool Scaled, bool Mul, int N, int V>
  void reduce_rows(int64_t first, int64_t end, int64_t head, int64_t start, int64_t last,
                   bool mean) const {
    using Vector = Vec<A, N>;
    const int64_t limit = ptr[end];
    for (int64_t i = first; i < end; ++i) {
      Vector sum[V];
      for (int v = 0; v < V; ++v) sum[v] = Vector{} + (Mul ? A(1) : A(0));
      const int64_t begin = ptr[i], stop = ptr[i + 1];
      for (int64_t k = begin; k < stop; ++k) {
        const int64_t j = source(k);
        const S* row = x + j * stride;
        if (k + kAhead < limit) {
          const S* next = x + source(k + kAhead) * stride;
          prefetch<V * N* int(sizeof(S))>(next + start);
        }
        const A f = Scaled ? factor(k, j, head) : A(1);
        for (int v = 0; v < V; ++v) {
          Vector value = load_vec<S, N>(row + (v == V - 1 ? last : start + v * N));
          if constexpr (Mul) {
            sum[v] *= Scaled ? value * f : value;
          } else {
            sum[v] += Scaled ? value * f : value;
          }
        }
      }
      A scale = row_scale ? row_scale[i] : A(1);
      if (mean && stop > begin) scale /= A(stop - begin);
      for (int v = 0; v < V; ++v) {
        store_vec<S, N>(out + i * stride + (v == V - 1 ? last : start + v * N), sum[v] * scale);
      }
    }
  }

  // max and min. The first edge is taken whatever it is; a later one only if it is better, so that
  // the first of equals wins; a NaN is better than all but a NaN.
  template <bool Min, int N, int V>
  void select_rows(int64_t first, int64_t end, int64_t head, int64_t start, int64_t last) const {
    using Vector = Vec<A, N>;
    using Ids = Vec<I, N>;
    const int64_t limit = ptr[end];
    for (int64_t i = first; i < end; ++i) {
      Vector best[V] = {};
      Ids won[V];
      for (int v = 0; v < V; ++v) won[v] = Ids{} - I(1);
      const int64_t begin = ptr[i], stop = ptr[i + 1];
      for (int64_t k = begin; k < stop; ++k) {
        const int64_t j = source(k);
        const S* row = x + j * stride;
        if (k + kAhead < limit) {
          prefetch<V * N* int(sizeof(S))>(x + source(k + kAhead) * stride + start);
        }
        for (int v = 0; v < V; ++v) {
          Vector value = load_vec<S, N>(row + (v == V - 1 ? last : start + v * N));
          if (weight) value *= factor(k, j, head);
          if constexpr (!__is_same(S, A)) value = rounded<N>(value);
          auto better = Min ? value < best[v] : value > best[v];
          auto new_nan = (value != value) & (best[v] == best[v]);
          auto taken = better | new_nan;
          if (k == begin) taken = taken | ~taken;
          best[v] = taken ? value : best[v];
          won[v] = __builtin_convertvector(taken, Vec<I, N>) ? Ids{} + I(k) : won[v];
        }
      }
      for (int v = 0; v < V; ++v) {
        const int64_t at = i * stride + (v == V - 1 ? last : start + v * N);
        store_vec<S, N>(out + at, best[v]);
        __builtin_memcpy(arg + at, &won[v], sizeof(won[v]));
      }
    }
  }

  // A message has the precision of its storage before it is compared, so that equal results tie.
  template <int N>
  GNNLIB_INLINE static Vec<A, N> rounded(Vec<A, N> value) {
    S stored[N];
    store_vec<S, N>(stored, value);
    return load_vec<S, N>(stored);
  }

  void run(const SpmmArgs& args, int64_t first, int64_t end) const {
    const bool scaled = weight || col_scale;
    const int64_t dim = args.dim;
    for (int64_t head = 0; head < heads; ++head) {
      for_tiles<S>(dim, [&]<int N, int V>(int64_t start, int64_t last) {
        start += head * dim;
        last += head * dim;
        switch (args.reduce) {
          case Reduce::sum:
          case Reduce::mean: {
            const bool mean = args.reduce == Reduce::mean;
            scaled ? reduce_rows<true, false, N, V>(first, end, head, start, last, mean)
                   : reduce_rows<false, false, N, V>(first, end, head, start, last, mean);
            break;
          }
          case Reduce::mul:
            return reduce_rows<true, true, N, V>(first, end, head, start, last, false);
          case Reduce::max:
            return select_rows<false, N, V>(first, end, head, start, last);
          case Reduce::min:
            return select_rows<true, N, V>(first, end, head, start, last);
        }
      });
    }
  }
};

void spmm(const SpmmArgs& args, int64_t first, int64_t last) {
  dispatch(args.dtype, args.csr.wide,
           [&]<typename S, typename I>() { Spmm<S, I>(args).run(args, first, last); });
}

// dx[j] = Σ over the edges j → i, at CSR position p, of w · grad[i] where arg[i] == p.
template <typename S, typename I>
struct ArgBackward {
  using A = Accumulate<S>;

  template <int N, int V>
  static void rows(const ArgBackwardArgs& args, int64_t first, int64_t end, int64_t head,
                   int64_t start, int64_t last) {
    const I* ptr = static_cast<const I*>(args.csr.ptr);
    const I* col = static_cast<const I*>(args.csr.col);
    const I* eid = static_cast<const I*>(args.csr.eid);
    const I* pos = static_cast<const I*>(args.pos);
    const S* weight = static_cast<const S*>(args.weight);
    const S* grad = static_cast<const S*>(args.grad);
    const I* arg = static_cast<const I*>(args.arg);
    S* out = static_cast<S*>(args.out);
    const int64_t stride = args.heads * args.dim, limit = ptr[end];
    for (int64_t j = first; j < end; ++j) {
      Vec<A, N> sum[V] = {};
      for (int64_t k = ptr[j]; k < ptr[j + 1]; ++k) {
        const int64_t row = col[k] * stride;
        if (k + kAhead < limit) {
          const int64_t next = col[k + kAhead] * stride + start;
          prefetch<V * N* int(sizeof(I))>(arg + next);
          prefetch<V * N* int(sizeof(S))>(grad + next);
        }
        const A w = weight ? load_one(weight + (eid ? eid[k] : pos[k]) * args.heads + head) : A(1);
        for (int v = 0; v < V; ++v) {
          const int64_t at = row + (v == V - 1 ? last : start + v * N);
          Vec<I, N> winner;
          __builtin_memcpy(&winner, arg + at, sizeof(winner));
          // The comparison's lanes as wide as the values: it is 0 or −1 in every lane.
          using Mask = decltype(Vec<A, N>{} == Vec<A, N>{});
          const Mask won = __builtin_convertvector(winner == (Vec<I, N>{} + pos[k]), Mask);
          sum[v] += won ? load_vec<S, N>(grad + at) * w : Vec<A, N>{};
        }
      }
      for (int v = 0; v < V; ++v) {
        store_vec<S, N>(out + j * stride + (v == V - 1 ? last : start + v * N), sum[v]);
      }
    }
  }
};

void arg_backward(const ArgBackwardArgs& args, int64_t first, int64_t end) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    for (int64_t head = 0; head < args.heads; ++head) {
      for_tiles<S>(args.dim, [&]<int N, int V>(int64_t start, int64_t last) {
        const int64_t shift = head * args.dim;
        ArgBackward<S, I>::template rows<N, V>(args, first, end, head, start + shift, last + shift);
      });
    }
  });
}

// dw[e, h] = Σ_d grad[i, h, d] · x[j, h, d] over the entries that edge e has won.
void arg_weight(const ArgWeightArgs& args, int64_t first, int64_t end) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    const I* ptr = static_cast<const I*>(args.csr.ptr);
    const I* col = static_cast<const I*>(args.csr.col);
    const I* eid = static_cast<const I*>(args.csr.eid);
    const S* grad = static_cast<const S*>(args.grad);
    const S* x = static_cast<const S*>(args.x);
    const I* arg = static_cast<const I*>(args.arg);
    S* out = static_cast<S*>(args.out);
    for (int64_t i = first; i < end; ++i) {
      for (int64_t k = ptr[i]; k < ptr[i + 1]; ++k) {
        const int64_t j = col ? int64_t(col[k]) : k;
        for (int64_t h = 0; h < args.heads; ++h) {
          const int64_t here = (i * args.heads + h) * args.dim;
          const int64_t there = (j * args.heads + h) * args.dim;
          A sum = 0;
          for (int64_t d = 0; d < args.dim; ++d) {
            if (arg[here + d] == k) sum += load_one(grad + here + d) * load_one(x + there + d);
          }
          store_one(out + (eid ? int64_t(eid[k]) : k) * args.heads + h, sum);
        }
      }
    }
  });
}

}  // namespace gnnlib::cpu::GNNLIB_CLONE
