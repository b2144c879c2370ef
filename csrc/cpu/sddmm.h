// One value an edge and head from the rows at its two ends.
//
// The destination's row stays in the first-level cache while its edges stream by; the source row
// needed eight edges later is prefetched.
#pragma once

#include "vec.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

template <typename S>
GNNLIB_INLINE Accumulate<S> dot(const S* a, const S* b, int64_t dim) {
  using A = Accumulate<S>;
  constexpr int L = kLanes<S>;
  A total = 0;
  int64_t d = 0;
  if (dim >= L) {
    Vec<A, L> sum[4] = {};  // four chains hide the latency of the multiply-add
    for (; d + 4 * L <= dim; d += 4 * L) {
      for (int v = 0; v < 4; ++v)
        sum[v] += load_vec<S, L>(a + d + v * L) * load_vec<S, L>(b + d + v * L);
    }
    for (; d + L <= dim; d += L) sum[0] += load_vec<S, L>(a + d) * load_vec<S, L>(b + d);
    total = lane_sum<A, L>((sum[0] + sum[1]) + (sum[2] + sum[3]));
  }
  if (L > 8 && d + 8 <= dim) {
    total += lane_sum<A, 8>(load_vec<S, 8>(a + d) * load_vec<S, 8>(b + d));
    d += 8;
  }
  for (; d < dim; ++d) total += load_one(a + d) * load_one(b + d);
  return total;
}

template <EdgeOp op, typename S, typename I>
void sddmm_rows(const SddmmArgs& args, int64_t first, int64_t end) {
  const I* ptr = static_cast<const I*>(args.csr.ptr);
  const I* col = static_cast<const I*>(args.csr.col);
  const I* eid = static_cast<const I*>(args.csr.eid);
  const S* a = static_cast<const S*>(args.a);
  const S* b = static_cast<const S*>(args.b);
  S* out = static_cast<S*>(args.out);
  const int64_t stride = args.heads * args.dim, limit = ptr[end];
  for (int64_t i = first; i < end; ++i) {
    for (int64_t k = ptr[i]; k < ptr[i + 1]; ++k) {
      const S* right = b + col[k] * stride;
      if (k + kAhead < limit) {
        const char* next = reinterpret_cast<const char*>(b + col[k + kAhead] * stride);
        for (int64_t byte = 0; byte < stride * int64_t(sizeof(S)); byte += 64) {
          __builtin_prefetch(next + byte);
        }
        if (eid) __builtin_prefetch(out + eid[k + kAhead] * args.heads, 1);
      }
      S* to = out + (eid ? int64_t(eid[k]) : k) * args.heads;
      for (int64_t h = 0; h < args.heads; ++h) {
        if constexpr (op == EdgeOp::dot) {
          const int64_t shift = h * args.dim;
          store_one(to + h, dot(a + i * stride + shift, right + shift, args.dim));
        } else if constexpr (op == EdgeOp::copy) {
          to[h] = right[h];
        } else {
          const auto l = load_one(a + i * stride + h), r = load_one(right + h);
          store_one(to + h, op == EdgeOp::add ? l + r : op == EdgeOp::sub ? l - r : l * r);
        }
      }
    }
  }
}

void sddmm(const SddmmArgs& args, int64_t first, int64_t end) {
  dispatch(args.dtype, args.csr.wide, [&]<typename S, typename I>() {
    switch (args.op) {
      case EdgeOp::dot:
        return sddmm_rows<EdgeOp::dot, S, I>(args, first, end);
      case EdgeOp::add:
        return sddmm_rows<EdgeOp::add, S, I>(args, first, end);
      case EdgeOp::sub:
        return sddmm_rows<EdgeOp::sub, S, I>(args, first, end);
      case EdgeOp::mul:
        return sddmm_rows<EdgeOp::mul, S, I>(args, first, end);
      case EdgeOp::copy:
        return sddmm_rows<EdgeOp::copy, S, I>(args, first, end);
    }
  });
}

}  // namespace gnnlib::cpu::GNNLIB_CLONE
