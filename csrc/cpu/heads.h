// The factors of the heads, one for each lane of a vector that may span several heads.
#pragma once

#include <type_traits>

#include "vec.h"

namespace gnnlib::cpu::GNNLIB_CLONE {

// Lanes N of the features from `at` on, of which `dim` neighbours share a head.
template <typename A, int N>
struct HeadLanes {
  using Index = std::conditional_t<sizeof(A) == 8, int64_t, int32_t>;

  int64_t first = 0;  // head of the first lane
  Vec<Index, N> which{};

  HeadLanes() = default;
  HeadLanes(int64_t at, int64_t dim) : first(at / dim) {
    for (int lane = 0; lane < N; ++lane) which[lane] = Index((at + lane) / dim - first);
  }

  // factor: the first head's; N values from `factor + first` on are read, whatever they are.
  GNNLIB_INLINE Vec<A, N> of(const A* factor) const {
    Vec<A, N> result;
#ifdef __AVX512F__
    if constexpr (N > 1) {
      __builtin_memcpy(&result, factor + first, sizeof(result));
      return __builtin_shuffle(result, which);
    }
#endif
    for (int lane = 0; lane < N; ++lane) result[lane] = factor[first + which[lane]];
    return result;
  }
};

}  // namespace gnnlib::cpu::GNNLIB_CLONE
