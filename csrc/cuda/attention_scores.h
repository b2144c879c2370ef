// The scores of attention and its dropout, as the passes of attention read them.
#pragma once

#include "../hash.h"
#include "attention.h"
#include "head_sums.h"

namespace gnnlib::cuda {

// What is there of a score, as numbers: of edge position k of row i and the head h, before the
// leaky ReLU of gat (which the others have had in their products).
template <typename A, typename I>
struct RawScore {
  const A* stored;  // dot, gatv2: null, or the sums of products, [E, H] by CSR position
  const A* src;
  const A* dst;
  const A* edge;
  const I* col;
  const I* eid;
  int64_t heads;

  RawScore(const AttentionArgs& args, const void* scores)
      : stored(static_cast<const A*>(scores)),
        src(static_cast<const A*>(args.score_src)),
        dst(static_cast<const A*>(args.score_dst)),
        edge(static_cast<const A*>(args.score_edge)),
        col(static_cast<const I*>(args.csr.col)),
        eid(static_cast<const I*>(args.csr.eid)),
        heads(args.heads) {}

  GNNLIB_DEVICE A operator()(int64_t i, int64_t k, int64_t h) const {
    A sum = 0;
    if (stored) {
      sum = stored[k * heads + h];
    } else {
      if (dst) sum = dst[i * heads + h];
      if (src) sum += src[int64_t(col[k]) * heads + h];
    }
    if (edge) sum += edge[(eid ? int64_t(eid[k]) : k) * heads + h];
    return sum;
  }
};

template <typename A>
GNNLIB_DEVICE A leaky(A x, A slope) {
  return x > 0 ? x : x * slope;
}

// What the scores of dot and gatv2 are sums of.
template <typename S, int N>
struct ScaledDot {
  DotOf<S, N> dot;
  double scale;

  GNNLIB_DEVICE Accumulate<S> operator()(const Ends& ends, int64_t f) const {
    return dot(ends, f) * Accumulate<S>(scale);
  }
};

// att[f] · leaky(x_dst[i, f] + x_src[j, f])
template <typename S, int N>
struct LeakyProduct {
  using A = Accumulate<S>;
  const S* own;
  const S* other;
  const A* att;
  int64_t stride;
  double slope;

  GNNLIB_DEVICE A operator()(const Ends& ends, int64_t f) const {
    Values<S, N> x, y;
    x.load(own + ends.i * stride + f);
    y.load(other + ends.j * stride + f);
    A sum = 0;
    for (int n = 0; n < N; ++n) sum += att[f + n] * leaky(x.value[n] + y.value[n], A(slope));
    return sum;
  }
};

// Calls with(make), where make<N>() gives the products of the scores.
template <typename S, typename With>
void with_products(const AttentionArgs& args, const With& with) {
  const int64_t stride = args.heads * args.dim;
  const S* query = static_cast<const S*>(args.query);
  if (args.score == Score::dot) {
    return with([&]<int N>() {
      return ScaledDot<S, N>{{query, static_cast<const S*>(args.key), stride}, args.scale};
    });
  }
  with([&]<int N>() {
    return LeakyProduct<S, N>{query, static_cast<const S*>(args.value),
                              static_cast<const Accumulate<S>*>(args.att), stride, args.slope};
  });
}

// 0 where dropout zeroes a weight, else what it is scaled by.
template <typename I>
struct DropFactor {
  const I* eid;
  const uint64_t* seed;
  uint32_t threshold;
  double keep;
  int64_t heads;

  explicit DropFactor(const AttentionArgs& args)
      : eid(static_cast<const I*>(args.csr.eid)),
        seed(static_cast<const uint64_t*>(args.device_seed)),
        threshold(args.threshold),
        keep(args.keep_scale),
        heads(args.heads) {}

  template <typename A>
  GNNLIB_DEVICE A of(int64_t k, int64_t h) const {
    if (!threshold) return 1;
    const uint64_t counter = uint64_t(eid ? int64_t(eid[k]) : k) * uint64_t(heads) + uint64_t(h);
    return hash24(*seed, counter) >= threshold ? A(keep) : A(0);
  }
};

}  // namespace gnnlib::cuda
