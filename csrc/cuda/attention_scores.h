// The scores of attention and its dropout, as the passes of attention read them.
#pragma once

#include "../hash.h"
#include "attention.h"
#include "numbers.h"

namespace gnnlib::cuda {

// Of edge position k of row i and the head h, before the leaky ReLU of gat (which the others have
// had in their products).
template <typename A, typename I>
struct RawScore {
  const A* stored;  // dot, gatv2: [E, H] by CSR position
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
