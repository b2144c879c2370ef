// Several reductions of the same source rows, in one pass over the edges.
//
// Each row of the destination keeps its sum, its extremes and their edges in registers. The
// standard deviation takes a second look at the row, from the cache: the mean must be known first,
// for the difference of two large sums would lose what is asked for.
#pragma once

#include <cmath>

#include "select.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

template <typename S, typename I>
struct Multi {
  using A = Accumulate<S>;

  const MultiArgs& args;
  const I* ptr;
  const I* col;
  const S* x;
  S* out;

  explicit Multi(const MultiArgs& args_)
      : args(args_),
        ptr(static_cast<const I*>(args.csr.ptr)),
        col(static_cast<const I*>(args.csr.col)),
        x(static_cast<const S*>(args.x)),
        out(static_cast<S*>(args.out)) {}

  GNNLIB_INLINE const S* source(int64_t k) const {
    return x + (col ? int64_t(col[k]) : k) * args.dim;
  }

  template <int N>
  GNNLIB_INLINE void put(int64_t slot, int64_t i, int64_t at, Vec<A, N> value) const {
    if (slot >= 0) store_vec<S, N>(out + (i * args.slots + slot) * args.dim + at, value);
  }

  // False if a value may have been a NaN, of which only Exact takes care.
  template <bool Exact, int N, int V>
  bool rows(int64_t first, int64_t end, int64_t start, int64_t last) const {
    using Vector = Vec<A, N>;
    const int64_t limit = ptr[end];
    Vector seen = {};
    for (int64_t i = first; i < end; ++i) {
      Vector sum[V] = {}, top[V], bottom[V];
      Vec<Place<A>, N> top_at[V], bottom_at[V];
      const int64_t begin = ptr[i], stop = ptr[i + 1];
      for (int v = 0; v < V; ++v) {
        begin_best<N, A>(false, begin < stop, top[v], top_at[v]);
        begin_best<N, A>(true, begin < stop, bottom[v], bottom_at[v]);
      }
      for_runs(begin, stop, [&](int64_t from, int64_t to) __attribute__((always_inline)) {
        for (int64_t k = from; k < to; ++k) {
          if (k + kAhead < limit) prefetch<V * N* int(sizeof(S))>(source(k + kAhead) + start);
          const Place<A> place = Place<A>(k - from);
          for (int v = 0; v < V; ++v) {
            const int64_t at = v == V - 1 ? last : start + v * N;
            const Vector value = load_vec<S, N>(source(k) + at);
            sum[v] += value;
            if (args.max_slot >= 0) take<Exact, N, A>(false, value, place, top[v], top_at[v]);
            if (args.min_slot >= 0) take<Exact, N, A>(true, value, place, bottom[v], bottom_at[v]);
          }
        }
        for (int v = 0; v < V; ++v) {
          const int64_t at = i * args.dim + (v == V - 1 ? last : start + v * N);
          I* max = static_cast<I*>(args.arg_max);
          I* min = static_cast<I*>(args.arg_min);
          if (max) put_won<N, A, I>(max + at, begin, from, top_at[v]);
          if (min) put_won<N, A, I>(min + at, begin, from, bottom_at[v]);
        }
      });
      for (int v = 0; v < V; ++v) seen += sum[v];
      const A share = stop > begin ? A(1) / A(stop - begin) : A(0);
      Vector mean[V], square[V] = {};
      for (int v = 0; v < V; ++v) mean[v] = sum[v] * share;
      if (args.std_slot >= 0) {
        for (int64_t k = begin; k < stop; ++k) {
          for (int v = 0; v < V; ++v) {
            const int64_t at = v == V - 1 ? last : start + v * N;
            const Vector apart = load_vec<S, N>(source(k) + at) - mean[v];
            square[v] += apart * apart;
          }
        }
      }
      for (int v = 0; v < V; ++v) {
        const int64_t at = v == V - 1 ? last : start + v * N;
        put<N>(args.sum_slot, i, at, sum[v]);
        put<N>(args.mean_slot, i, at, mean[v]);
        put<N>(args.max_slot, i, at, top[v]);
        put<N>(args.min_slot, i, at, bottom[v]);
        if (args.std_slot < 0) continue;
        store_vec<A, N>(static_cast<A*>(args.mean) + i * args.dim + at, mean[v]);
        Vector deviation = square[v] * share;
        for (int n = 0; n < N; ++n) deviation[n] = std::sqrt(deviation[n]);
        put<N>(args.std_slot, i, at, deviation);
      }
    }
    return !has_nan<N, A>(seen);
  }

  // dx[j] = Σ over the edges j → i of even[i] + spread[i] · (x[j] − mean[i]), on the transpose.
  template <int N, int V>
  void backward(int64_t first, int64_t end, int64_t start, int64_t last) const {
    using Vector = Vec<A, N>;
    const A* even = static_cast<const A*>(args.even);
    const A* spread = static_cast<const A*>(args.spread);
    const A* mean = static_cast<const A*>(args.mean);
    const int64_t limit = ptr[end], dim = args.dim;
    for (int64_t j = first; j < end; ++j) {
      Vector sum[V] = {}, own[V];
      for (int v = 0; v < V; ++v) {
        own[v] = load_vec<S, N>(x + j * dim + (v == V - 1 ? last : start + v * N));
      }
      for (int64_t k = ptr[j]; k < ptr[j + 1]; ++k) {
        if (k + kAhead < limit) {
          const int64_t next = col[k + kAhead] * dim + start;
          prefetch<V * N* int(sizeof(A))>(even + next);
          prefetch<V * N* int(sizeof(A))>(spread + next);
          prefetch<V * N* int(sizeof(A))>(mean + next);
        }
        for (int v = 0; v < V; ++v) {
          const int64_t at = col[k] * dim + (v == V - 1 ? last : start + v * N);
          sum[v] += load_vec<A, N>(even + at) +
                    load_vec<A, N>(spread + at) * (own[v] - load_vec<A, N>(mean + at));
        }
      }
      for (int v = 0; v < V; ++v) {
        store_vec<S, N>(out + j * dim + (v == V - 1 ? last : start + v * N), sum[v]);
      }
    }
  }
};

constexpr int kMultiTile = 2;  // vectors of a row whose statistics fit the registers

void multi(const MultiArgs& args, int64_t first, int64_t end) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    for_tiles<S, kMultiTile>(args.dim, [&]<int N, int V>(int64_t start, int64_t last) {
      const Multi<S, I> kernel(args);
      if (!kernel.template rows<false, N, V>(first, end, start, last) &&
          (args.max_slot >= 0 || args.min_slot >= 0)) {
        kernel.template rows<true, N, V>(first, end, start, last);
      }
    });
  });
}

void multi_backward(const MultiArgs& args, int64_t first, int64_t end) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    for_tiles<S, kMultiTile>(args.dim, [&]<int N, int V>(int64_t start, int64_t last) {
      Multi<S, I>(args).template backward<N, V>(first, end, start, last);
    });
  });
}

}  // namespace gnnlib::cpu::GNNLIB_CLONE
