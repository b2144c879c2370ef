// Dropout whose mask is a hash of the seed, the edge and the head: the backward pass computes the
// same mask again in place of keeping it, and the order of the edges in memory does not matter.
#pragma once

#include "../hash.h"
#include "vec.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

void dropout(const DropoutArgs& args, int64_t first, int64_t end) {
  dispatch(args.dtype, args.wide, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    const S* x = static_cast<const S*>(args.x);
    const I* eid = static_cast<const I*>(args.eid);
    S* out = static_cast<S*>(args.out);
    const A scale = A(args.scale);
    for (int64_t k = first; k < end; ++k) {
      const uint64_t base = uint64_t(eid ? int64_t(eid[k]) : k) * uint64_t(args.heads);
      for (int64_t h = 0; h < args.heads; ++h) {
        const bool keep = hash24(args.seed, base + uint64_t(h)) >= args.threshold;
        const A value = load_one(x + k * args.heads + h) * scale;
        store_one(out + k * args.heads + h, keep ? value : A(0));
      }
    }
  });
}

}  // namespace gnnlib::cpu::GNNLIB_CLONE
