// What the passes of attention are made of: blocks of the edges of a row, and sums over them.
#pragma once

#include "../hash.h"
#include "heads.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

constexpr int64_t kBlock = 32;  // edges

// What every pass of attention is made of: a block of edges, and sums over it.
template <typename S>
struct AttentionPass {
  using A = Accumulate<S>;
  static constexpr int L = kLanes<S>;

  const AttentionArgs& args;
  const int64_t heads, dim, stride;
  const A slope;
  const bool needs_ids;
  HeadTable<A> table;
  int64_t col[kBlock + kAhead];  // beyond the block: what to prefetch
  int64_t id[kBlock];            // edge ids
  int64_t at[kBlock];            // CSR positions

  explicit AttentionPass(const AttentionArgs& a)
      : args(a),
        heads(a.heads),
        dim(a.dim),
        stride(a.heads * a.dim),
        slope(A(a.slope)),
        needs_ids(a.score_edge || a.threshold),
        table(a.heads, a.dim) {}

  static int64_t read(const void* ids, bool wide, int64_t k) {
    return wide ? static_cast<const int64_t*>(ids)[k] : static_cast<const int32_t*>(ids)[k];
  }
  int64_t begin_of(int64_t row) const { return read(args.csr.ptr, args.csr.wide, row); }

  template <typename T>
  static const T* as(const void* p) {
    return static_cast<const T*>(p);
  }

  // The edges [k, k + n); `limit` is where those of the call end.
  void fill(int64_t k, int64_t n, int64_t limit) {
    args.csr.wide ? fill_as<int64_t>(k, n, limit) : fill_as<int32_t>(k, n, limit);
  }
  template <typename I>
  void fill_as(int64_t k, int64_t n, int64_t limit) {
    const I* from = as<I>(args.csr.col);
    const I* pos = as<I>(args.pos);
    const I* eid = as<I>(args.csr.eid);
    const int64_t known = limit - k < n + kAhead ? limit - k : n + kAhead;
    for (int64_t b = 0; b < known; ++b) col[b] = from[k + b];
    for (int64_t b = known; b < n + kAhead; ++b) col[b] = col[0];
    for (int64_t b = 0; b < n; ++b) at[b] = pos ? int64_t(pos[k + b]) : k + b;
    if (needs_ids) {
      for (int64_t b = 0; b < n; ++b) id[b] = eid ? int64_t(eid[at[b]]) : at[b];
    }
  }

  GNNLIB_INLINE void fetch_row(const S* rows, int64_t b) const {
    const char* next = reinterpret_cast<const char*>(rows + col[b + kAhead] * stride);
    for (int64_t byte = 0; byte < stride * int64_t(sizeof(S)); byte += 64)
      __builtin_prefetch(next + byte);
  }

  // A row of this row's own in the accumulation type: itself, or widened into `to`.
  const A* own(const S* row, Scratch<A>& to) const {
    if constexpr (__is_same(S, A)) {
      return row;
    } else {
      for (int64_t f = 0; f < stride; ++f) to.data[f] = load_one(row + f);
      return to.data;
    }
  }

  // Weights that dropout zeroes, and what it scales the others by: the factors of a block.
  void masks(int64_t n, A* to) const {
    const A keep = A(args.keep_scale);
    for (int64_t b = 0; b < n; ++b) {
      const uint64_t base = uint64_t(id[b]) * uint64_t(heads);
      for (int64_t h = 0; h < heads; ++h)
        to[b * heads + h] = hash24(args.seed, base + uint64_t(h)) >= args.threshold ? keep : A(0);
    }
  }
  static void mask(int64_t n, const A* factor, A* x) {
    for (int64_t k = 0; k < n; ++k) x[k] = factor[k] == 0 ? A(0) : x[k] * factor[k];
  }

  // The sums over a block of term(b, f, w) for each feature, kept between blocks in `kept`:
  // finish<N>(slot, f, sum, spread) takes them after the last block. `shrink` scales what was kept.
  // term is told whether this is the first tile, the one that is to fetch rows ahead.
  template <typename Term, typename Finish>
  GNNLIB_INLINE void sum_block(int64_t n, bool first, bool final, const A* shrink, A* kept,
                               const Term& term, const Finish& finish) const {
    for_head_tiles<S>(heads, dim, [&]<int N, int V, bool Uniform>(int64_t start, int64_t last) {
      const HeadLanes<A, N, V, Uniform> lanes(table, start, last);
      Vec<A, N> sum[V] = {};
      for (int64_t b = 0; b < n; ++b) {
        auto with = term(b, start == 0);
        for (int v = 0; v < V; ++v) {
          auto spread = [&](const A* w)
                            __attribute__((always_inline)) { return lanes.spread(v, w); };
          sum[v] += with.template operator()<N>(v == V - 1 ? last : start + v * N, spread);
        }
      }
      for (int v = 0; v < V; ++v) {
        auto spread = [&](const A* w) __attribute__((always_inline)) { return lanes.spread(v, w); };
        if (!first) {  // block by block, so that no sum has one addend an edge
          const Vec<A, N> before = load<A, N>(kept + start + v * N);
          sum[v] += shrink ? before * spread(shrink) : before;
        }
        if (final)
          finish.template operator()<N>(start + v * N, v == V - 1 ? last : start + v * N, sum[v],
                                        spread);
        else
          store<A, N>(kept + start + v * N, sum[v]);
      }
    });
  }
};

// The summand w[b, head] · rows[col[b], f], as sum_block takes it.
template <typename S>
struct WeightedRow {
  using A = Accumulate<S>;
  const A* weight;
  const S* row;

  template <int N, typename Spread>
  GNNLIB_INLINE Vec<A, N> operator()(int64_t f, const Spread& spread) const {
    return spread(weight) * load_vec<S, N>(row + f);
  }
};

// own[f] · row[f]
template <typename S>
struct DotProduct {
  using A = Accumulate<S>;
  const A* own;

  template <int N>
  GNNLIB_INLINE Vec<A, N> operator()(const S* row, int64_t f) const {
    return load<A, N>(own + f) * load_vec<S, N>(row + f);
  }
};

// att[f] · leaky(own[f] + row[f])
template <typename S>
struct LeakyProduct {
  using A = Accumulate<S>;
  const A* own;
  const A* att;
  A slope;

  template <int N>
  GNNLIB_INLINE Vec<A, N> operator()(const S* row, int64_t f) const {
    const Vec<A, N> sum = load<A, N>(own + f) + load_vec<S, N>(row + f);
    return load<A, N>(att + f) * (sum > 0 ? sum : sum * slope);
  }
};

}  // namespace gnnlib::cpu::GNNLIB_CLONE
