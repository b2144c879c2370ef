// Attention over the edges of each destination: scores, softmax and weighted sum in one pass.
//
// A row goes by in blocks of edges, whose scores [edges, heads] and source rows stay in the
// first-level cache. The largest score so far and the sum of the exponentials are carried from
// block to block; where a block has a larger score, what was summed before it is scaled down. So a
// row of any length is gathered once and needs no memory of its length.
#pragma once

#include "attention_pass.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

// The scores of a block [n, heads] of the destination i.
template <typename S>
struct Scores {
  using A = Accumulate<S>;
  const AttentionPass<S>& pass;
  const A* own = nullptr;  // dot: scale · q[i]; gatv2: x_dst[i]
  Scratch<A> room;

  explicit Scores(const AttentionPass<S>& p) : pass(p) { room.reserve(p.stride); }

  void begin(int64_t i) {
    const auto& args = pass.args;
    if (args.score == Score::gat) return;
    own = pass.own(static_cast<const S*>(args.query) + i * pass.stride, room);
    if (args.score == Score::dot) {
      for (int64_t f = 0; f < pass.stride; ++f) room.data[f] = own[f] * A(args.scale);
      own = room.data;
    }
  }

  void operator()(int64_t i, int64_t n, A* to) const {
    const auto& args = pass.args;
    if (args.score == Score::gat) return gat(i, n, to);
    const bool dot = args.score == Score::dot;
    const S* rows = static_cast<const S*>(dot ? args.key : args.value);
    auto row = [&](int64_t b) __attribute__((always_inline)) {
      pass.fetch_row(rows, b);
      if (dot) pass.fetch_row(static_cast<const S*>(args.value), b);
      return rows + pass.col[b] * pass.stride;
    };
    if (dot) {
      head_sums<S>(n, pass.heads, pass.dim, row, DotProduct<S>{own}, to);
    } else {
      const LeakyProduct<S> product{own, static_cast<const A*>(args.att), pass.slope};
      head_sums<S>(n, pass.heads, pass.dim, row, product, to);
    }
    if (const A* edge = static_cast<const A*>(args.score_edge)) {
      for (int64_t b = 0; b < n; ++b) {
        for (int64_t h = 0; h < pass.heads; ++h)
          to[b * pass.heads + h] += edge[pass.id[b] * pass.heads + h];
      }
    }
  }

  void gat(int64_t i, int64_t n, A* to) const {
    const int64_t heads = pass.heads;
    const A* src = static_cast<const A*>(pass.args.score_src);
    const A* dst = static_cast<const A*>(pass.args.score_dst);
    const A* edge = static_cast<const A*>(pass.args.score_edge);
    for_tiles<A, 2>(heads, [&]<int N, int V>(int64_t start, int64_t last) {
      Vec<A, N> mine[V] = {};
      for (int v = 0; v < V; ++v) {
        if (dst) mine[v] = load<A, N>(dst + i * heads + (v == V - 1 ? last : start + v * N));
      }
      for (int64_t b = 0; b < n; ++b) {
        if (src) __builtin_prefetch(src + pass.col[b + kAhead] * heads + start);
        for (int v = 0; v < V; ++v) {
          const int64_t h = v == V - 1 ? last : start + v * N;
          Vec<A, N> sum = mine[v];
          if (src) sum += load<A, N>(src + pass.col[b] * heads + h);
          if (edge) sum += load<A, N>(edge + pass.id[b] * heads + h);
          store<A, N>(to + b * heads + h, sum > 0 ? sum : sum * pass.slope);
        }
      }
    });
  }
};

// exp of [0, n) in place; what lies behind up to a multiple of 16 is overwritten.
GNNLIB_INLINE void exp_all(float* x, int64_t n) {
  for (int64_t k = n; k < (n + 15) / 16 * 16; ++k) x[k] = 0;
  exp_in_place(x, n);
}
GNNLIB_INLINE void exp_all(double* x, int64_t n) { exp_in_place(x, n); }

// The softmax of a row, carried from block to block. Vectors of heads overlap where heads do not
// fill them, so nothing is read from where it is written: `top` and `total` have two places each.
template <typename A>
struct Softmax {
  int64_t heads;
  Scratch<A> room;
  A *top, *total, *shrink, *top_before, *total_before;

  explicit Softmax(int64_t h) : heads(h) {
    const int64_t padded = (h + 31) / 16 * 16;
    room.reserve(5 * padded);
    top = room.data, top_before = top + padded, total = top + 2 * padded;
    total_before = top + 3 * padded, shrink = top + 4 * padded;
  }

  // exp(score − top) of a block; `shrink` is what sums before this block are to be scaled by. A row
  // of −inf alone has no top; a NaN is no top, and stays.
  void block(int64_t n, bool first, const A* score, A* to) {
    std::swap(top, top_before);
    std::swap(total, total_before);
    const A none = -INFINITY;
    for_tiles<A, 2>(heads, [&]<int N, int V>(int64_t start, int64_t last) {
      for (int v = 0; v < V; ++v) {
        const int64_t h = v == V - 1 ? last : start + v * N;
        const Vec<A, N> before = first ? Vec<A, N>{} + none : load<A, N>(top_before + h);
        Vec<A, N> high = before;
        for (int64_t b = 0; b < n; ++b) {
          const Vec<A, N> s = load<A, N>(score + b * heads + h);
          high = s > high ? s : high;
        }
        const Vec<A, N> from = high == none ? Vec<A, N>{} : high;
        store<A, N>(top + h, high);
        store<A, N>(shrink + h, before - from);
        for (int64_t b = 0; b < n; ++b)
          store<A, N>(to + b * heads + h, load<A, N>(score + b * heads + h) - from);
      }
    });
    exp_all(to, n * heads);
    if (!first) exp_all(shrink, heads);
    for_tiles<A, 2>(heads, [&]<int N, int V>(int64_t start, int64_t last) {
      for (int v = 0; v < V; ++v) {
        const int64_t h = v == V - 1 ? last : start + v * N;
        Vec<A, N> sum = {};
        for (int64_t b = 0; b < n; ++b) sum += load<A, N>(to + b * heads + h);
        if (!first) sum += load<A, N>(total_before + h) * load<A, N>(shrink + h);
        store<A, N>(total + h, sum);
      }
    });
  }

  // After the last block: log Σ exp, and the factors that normalise.
  void finish(A* lse, A* normal) const {
    for (int64_t h = 0; h < heads; ++h) {
      lse[h] = top[h] + std::log(total[h]);
      normal[h] = 1 / total[h];
    }
  }
};

template <typename S>
void attention_rows(const AttentionArgs& args, int64_t first, int64_t end) {
  using A = Accumulate<S>;
  AttentionPass<S> pass(args);
  const int64_t heads = args.heads, stride = pass.stride, limit = pass.begin_of(end);
  const S* value = static_cast<const S*>(args.value);
  S* out = static_cast<S*>(args.out);
  A* lse = static_cast<A*>(args.lse);
  Scratch<A> score, weight, factor, kept;
  score.reserve(kBlock * heads + 16);
  weight.reserve(kBlock * heads + 16);
  factor.reserve(kBlock * heads);
  kept.reserve(stride + 16);
  Softmax<A> softmax(heads);
  Scores<S> scores(pass);
  int64_t stop = pass.begin_of(first);
  for (int64_t i = first; i < end; ++i) {
    const int64_t begin = stop;
    stop = pass.begin_of(i + 1);
    if (begin == stop) {
      for (int64_t f = 0; f < stride; ++f) store_one(out + i * stride + f, A(0));
      for (int64_t h = 0; h < heads; ++h) lse[i * heads + h] = -INFINITY;
      continue;
    }
    scores.begin(i);
    for (int64_t k = begin; k < stop; k += kBlock) {
      const int64_t n = stop - k < kBlock ? stop - k : kBlock;
      const bool opens = k == begin, closes = k + n == stop;
      pass.fill(k, n, limit);
      scores(i, n, score.data);
      softmax.block(n, opens, score.data, weight.data);
      if (args.threshold) {
        pass.masks(n, factor.data);
        pass.mask(n * heads, factor.data, weight.data);
      }
      // What was kept is scaled down before `shrink` becomes what normalises.
      const A* shrink = softmax.shrink;
      A* normal = softmax.total_before;
      if (closes) softmax.finish(lse + i * heads, normal);
      auto term = [&](int64_t b, bool ahead) __attribute__((always_inline)) {
        if (ahead && args.score == Score::gat) pass.fetch_row(value, b);
        return WeightedRow<S>{weight.data + b * heads, value + pass.col[b] * stride};
      };
      auto finish = [&]<int N>(int64_t, int64_t f, const Vec<A, N>& sum, const auto& spread)
                        __attribute__((always_inline)) {
                          store_vec<S, N>(out + i * stride + f, sum * spread(normal));
                        };
      pass.sum_block(n, opens, closes, shrink, kept.data, term, finish);
    }
  }
}

void attention(const AttentionArgs& args, int64_t first, int64_t end) {
  if (args.heads == 0) return;  // no array has an address then
  dispatch(args.dtype, false,
           [&]<typename S, typename I>() { attention_rows<S>(args, first, end); });
}

}  // namespace gnnlib::cpu::GNNLIB_CLONE
