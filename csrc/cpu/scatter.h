// Gather rows by an index, and add rows in place where an index says.
//
// (scatter with the other reducers sorts its index and is then a segment reduction.)
#pragma once

#include "vec.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

template <typename I>
void gather_rows(const RowsArgs& args, int64_t first, int64_t end) {
  const I* index = static_cast<const I*>(args.index);
  const char* from = static_cast<const char*>(args.from);
  char* to = static_cast<char*>(args.to);
  const int64_t bytes = args.bytes;
  if (bytes == 0) return;  // no row has an address then
  // Values of one register: the processor looks ahead further than a prefetch would.
  auto values = [&]<typename T>() __attribute__((always_inline)) {
    for (int64_t k = first; k < end; ++k) {
      T value;
      __builtin_memcpy(&value, from + index[k] * int64_t(sizeof(T)), sizeof(T));
      __builtin_memcpy(to + k * int64_t(sizeof(T)), &value, sizeof(T));
    }
  };
  if (bytes == 2) return values.template operator()<uint16_t>();
  if (bytes == 4) return values.template operator()<uint32_t>();
  if (bytes == 8) return values.template operator()<uint64_t>();
  for (int64_t k = first; k < end; ++k) {
    if (k + kAhead < end) {
      const char* next = from + index[k + kAhead] * bytes;
      for (int64_t b = 0; b < bytes; b += 64) __builtin_prefetch(next + b);
    }
    copy_row(to + k * bytes, from + index[k] * bytes, bytes);
  }
}

void gather(const RowsArgs& args, int64_t first, int64_t end) {
  args.wide ? gather_rows<int64_t>(args, first, end) : gather_rows<int32_t>(args, first, end);
}

// Every caller reads the whole index and adds only into its own rows: one owner a row, and the
// order of the edges is that of the index.
void scatter_add(const ScatterAddArgs& args, int64_t first, int64_t end) {
  dispatch(args.dtype, args.wide, [&]<typename S, typename I>() {
    using A = Accumulate<S>;
    const I* index = static_cast<const I*>(args.index);
    const S* x = static_cast<const S*>(args.x);
    A* out = static_cast<A*>(args.out);
    if (args.dim == 1) {
      for (int64_t k = 0; k < args.num_edges; ++k) {
        const int64_t i = index[k];
        if (i >= first && i < end) out[i] += load_one(x + k);
      }
      return;
    }
    for (int64_t k = 0; k < args.num_edges; ++k) {
      const int64_t i = index[k];
      if (i < first || i >= end) continue;
      A* to = out + i * args.dim;
      const S* from = x + k * args.dim;
      constexpr int L = kLanes<S>;
      int64_t d = 0;
      for (; d + L <= args.dim; d += L) {
        store_vec<A, L>(to + d, load_vec<A, L>(to + d) + load_vec<S, L>(from + d));
      }
      for (; d < args.dim; ++d) to[d] += load_one(from + d);
    }
  });
}

}  // namespace gnnlib::cpu::GNNLIB_CLONE
