// Rows of H heads of D features each, taken as one run of H · D features.
//
// A tile of a row covers whole vectors, whatever the heads are: a weight per head is spread over
// the lanes by one permutation, and the sums over the features of each head come out of a tree of
// neighbouring lanes, several heads at a time. So each row is read once, not once a head.
#pragma once

#include <utility>

#include "scratch.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

template <typename A>
struct IdOf {
  using type = int32_t;
};
template <>
struct IdOf<double> {
  using type = int64_t;
};
// A lane's number, as wide as the lane.
template <typename A>
using LaneId = typename IdOf<A>::type;

// Lane n is from[lane[n]], for ids below N.
template <typename A, int N>
GNNLIB_INLINE Vec<A, N> permute(const A* from, const Vec<LaneId<A>, N>& lane) {
  if constexpr (N == 1) return Vec<A, 1>{from[0]};
#if defined(__AVX512F__)
  else
    return __builtin_shuffle(load<A, N>(from), lane);
#else
  A to[N];
  for (int n = 0; n < N; ++n) to[n] = from[lane[n]];
  return load<A, N>(to);
#endif
}

// The head of each feature: made once a call, read by each tile.
template <typename A>
struct HeadTable {
  Scratch<LaneId<A>> head_of;
  int64_t dim;

  HeadTable(int64_t heads, int64_t dim_) : dim(dim_) {
    head_of.reserve(heads * dim);
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t d = 0; d < dim; ++d) head_of.data[h * dim + d] = LaneId<A>(h);
    }
  }
};

// Spreads a weight per head over the lanes of a tile of V vectors of N. Uniform: D is a multiple of
// N, so that each vector lies in one head. The weights must be readable N − 1 past the last.
template <typename A, int N, int V, bool Uniform>
struct HeadLanes {
  int64_t head[V];
  Vec<LaneId<A>, N> lane[V];

  GNNLIB_INLINE HeadLanes(const HeadTable<A>& table, int64_t start, int64_t last) {
    for (int v = 0; v < V; ++v) {
      const LaneId<A>* at = table.head_of.data + (v == V - 1 ? last : start + v * N);
      head[v] = at[0];
      if constexpr (!Uniform) {
        __builtin_memcpy(&lane[v], at, sizeof(lane[v]));
        lane[v] -= at[0];
      }
    }
  }

  GNNLIB_INLINE Vec<A, N> spread(int v, const A* weights) const {
    if constexpr (Uniform) {
      return Vec<A, N>{} + weights[head[v]];
    } else {
      return permute<A, N>(weights + head[v], lane[v]);
    }
  }
};

// Where no weight is per head.
template <typename A, int N>
struct NoLanes {
  NoLanes(const HeadTable<A>&, int64_t, int64_t) {}
  GNNLIB_INLINE Vec<A, N> spread(int, const A* weight) const { return Vec<A, N>{} + *weight; }
};

// for_tiles over all features of a row: f<N, V, Uniform>(start, last).
template <typename S, typename F>
GNNLIB_INLINE void for_head_tiles(int64_t heads, int64_t dim, F&& f) {
  for_tiles<S>(heads * dim, [&]<int N, int V>(int64_t start, int64_t last) {
    if constexpr (N == kLanes<S>) {
      if (dim % N == 0) return f.template operator()<N, V, true>(start, last);
    }
    f.template operator()<N, V, false>(start, last);
  });
}

// Lane n: the sum of lanes 2n and 2n + 1 of a and b joined.
template <typename A, int N>
GNNLIB_INLINE Vec<A, N> add_neighbours(const Vec<A, N>& a, const Vec<A, N>& b) {
  return [&]<int... n>(std::integer_sequence<int, n...>) __attribute__((always_inline)) {
    using Ids = Vec<LaneId<A>, N>;
    return __builtin_shuffle(a, b, Ids{2 * n...}) + __builtin_shuffle(a, b, Ids{(2 * n + 1)...});
  }(std::make_integer_sequence<int, N>{});
}

// Stores the sums of each W neighbouring lanes of V vectors, in order; what lies behind them up to
// the end of a vector is overwritten.
template <int W, typename A, int N, int V>
GNNLIB_INLINE void store_lane_sums(const Vec<A, N> (&v)[V], A* to) {
  if constexpr (W == 1) {
    for (int n = 0; n < V; ++n) store<A, N>(to + n * N, v[n]);
  } else {
    constexpr int M = (V + 1) / 2;
    Vec<A, N> half[M];
    for (int n = 0; n < M; ++n)
      half[n] = add_neighbours<A, N>(v[2 * n], v[2 * n + 1 < V ? 2 * n + 1 : 2 * n]);
    store_lane_sums<W / 2, A, N, M>(half, to);
  }
}

// The sums of product(row, f) over the features f of each head of one row, where the heads fill
// vectors: `deep` vectors are added to one, of which each W lanes are a head.
template <typename S, int W, typename Product>
GNNLIB_INLINE void tree_sums(const S* row, int64_t vectors, int64_t deep, const Product& product,
                             Accumulate<S>* to) {
  using A = Accumulate<S>;
  constexpr int L = kLanes<S>;
  int64_t n = 0;
  auto chunk = [&]<int V>() __attribute__((always_inline)) {
    Vec<A, L> sum[V];
    for (int v = 0; v < V; ++v) {
      const int64_t f = (n + v) * deep * L;
      sum[v] = product.template operator()<L>(row, f);
      for (int64_t d = 1; d < deep; ++d) sum[v] += product.template operator()<L>(row, f + d * L);
    }
    store_lane_sums<W, A, L, V>(sum, to + n * (L / W));
    n += V;
  };
#if GNNLIB_TILE >= 8
  while (n + 8 <= vectors) chunk.template operator()<8>();
#endif
  while (n + 4 <= vectors) chunk.template operator()<4>();
  if (n + 2 <= vectors) chunk.template operator()<2>();
  if (n < vectors) chunk.template operator()<1>();
}

// The same for any D, one head after the other.
template <typename S, typename Product>
GNNLIB_INLINE void plain_sums(const S* row, int64_t heads, int64_t dim, const Product& product,
                              Accumulate<S>* to) {
  using A = Accumulate<S>;
  constexpr int L = kLanes<S>;
  for (int64_t h = 0; h < heads; ++h) {
    const int64_t end = (h + 1) * dim;
    int64_t f = h * dim;
    Vec<A, L> sum = {};
    for (; f + L <= end; f += L) sum += product.template operator()<L>(row, f);
    A total = lane_sum<A, L>(sum);
    if (f + 4 <= end) {
      Vec<A, 4> four = {};
      for (; f + 4 <= end; f += 4) four += product.template operator()<4>(row, f);
      total += lane_sum<A, 4>(four);
    }
    for (; f < end; ++f) total += product.template operator()<1>(row, f)[0];
    to[h] = total;
  }
}

// to[b, h] = Σ_d product(row(b), h · D + d) for b < n. `to` has room for a vector behind its end.
template <typename S, typename Row, typename Product>
GNNLIB_INLINE void head_sums(int64_t n, int64_t heads, int64_t dim, const Row& row,
                             const Product& product, Accumulate<S>* to) {
  constexpr int L = kLanes<S>;
  const int64_t size = heads * dim;
  auto tree = [&]<int W>() __attribute__((always_inline)) {
    const int64_t deep = dim > L ? dim / L : 1;
    for (int64_t b = 0; b < n; ++b)
      tree_sums<S, W>(row(b), size / (deep * L), deep, product, to + b * heads);
  };
  if (size > 0 && size % L == 0) {
    if (dim % L == 0) return tree.template operator()<L>();
    if (L > 8 && dim == 8) return tree.template operator()<8>();
    if (dim == 4) return tree.template operator()<4>();
    if (dim == 2) return tree.template operator()<2>();
    if (dim == 1) return tree.template operator()<1>();
  }
  for (int64_t b = 0; b < n; ++b) plain_sums<S>(row(b), heads, dim, product, to + b * heads);
}

}  // namespace gnnlib::cpu::GNNLIB_CLONE
